"""A workspace of the host while a command runs on a copy of it: held open, its base kept, changes brought back.

Not covered: files that someone else changes in it meanwhile. They stay unless the command changed them too: then
its version wins.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.errors import UserError
from steelyard.sandbox.collecting import Collected, shown, write_back
from steelyard.sandbox.kept import drop_base, keep_base, stage_base, store_for
from steelyard.sandbox.snapshot import Snapshot
from steelyard.sandbox.tree import Tree, over

if TYPE_CHECKING:
    from steelyard.sandbox.tree import Caps


class Held:
    """The directory itself, from before the command until after: its path may come to lead elsewhere.

    `before` is its state, put by at once for `diff`; with `keep_old` an earlier base stays instead.
    Raises `DataError` when it is no directory, `UserError` when it is over the caps.
    """

    def __init__(self, workspace: Path, caps: Caps, *, keep_old: bool = False) -> None:
        self._workspace, self._tree = workspace, Tree.at(workspace)
        self._staged: Path | None = None
        try:
            self.before = Snapshot.take(self._tree, caps)
            too_much = over(self.before.skipped)
            if too_much:
                raise UserError(
                    "the workspace does not fit into its quota",
                    where=str(workspace),
                    got=f"{shown(too_much[0][0])}: {too_much[0][1]}",
                    fix="raise --workspace-size or --workspace-files",
                )
            if not keep_old or not (store_for(workspace).place / "base.json").exists():
                self._staged = stage_base(workspace, self.before)
        except BaseException:
            self._tree.close()
            raise

    @property
    def place(self) -> Path:
        """A path that leads to this very directory, whatever becomes of its name."""
        return Path(f"/proc/self/fd/{self._tree.fd}")

    def bring(self, after: Snapshot, *, write: bool = True, git: bool = False) -> Collected:
        """Make what was put by the kept base, and with `write` bring the safe changes back."""
        if self._staged:
            keep_base(self._workspace, self._staged)
        if not write:
            return Collected((), (), ())
        info = os.fstat(self._tree.fd)
        # What root brings back belongs to whoever owns the workspace.
        owner = (info.st_uid, info.st_gid) if os.geteuid() == 0 else None
        target = Tree(self._tree.fd, identity=owner, ours=False)
        return write_back(self.before.to(after), after, target, git=git)

    def close(self) -> None:
        """Let go of the directory."""
        self._tree.close()
        if self._staged:
            drop_base(self._staged)
