"""SWE-bench instances (JSONL), with repositories from clones of the user's: `repos: FOLDER`.

The workspace is the tree of `base_commit` with one commit and nothing after it; the tests of `test_patch` are hidden
and come on top for the grader; `patch` is the gold. FAIL_TO_PASS and PASS_TO_PASS must all pass, test by test: a test
that is skipped, or that did not run, did not pass. What an instance needs that this machine does not have (its
dependencies at the versions of its time) cannot be seen here: `steelyard check` shows it, since the gold then fails.

Clones are looked for as FOLDER/owner__name, FOLDER/owner/name or FOLDER/name (also with `.git`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from steelyard.errors import DataError
from steelyard.schema.task import Agentic, GraderSpec
from steelyard.tasks.archives import Archives, archive_of, tree_archive
from steelyard.tasks.options import LoadOptions

WANTED = ("instance_id", "repo", "base_commit", "problem_statement", "test_patch", "FAIL_TO_PASS")
_GIT_S = 300
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_TEST = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")


class _Unfit(Exception):
    pass


class Instances:
    """Reads instances; `skipped` says which were left out, and why."""

    def __init__(self, folder: Path, options: LoadOptions) -> None:
        self._repos = (folder / options.repos).absolute()  # git is not run where we are
        if not self._repos.is_dir():
            raise DataError("no folder of clones", where=str(self._repos), wanted="a folder that holds git clones",
                            fix="clone the repositories there, or correct `repos`")  # fmt: skip
        self.archives = Archives()
        self.skipped: list[tuple[str, str]] = []
        self.notes: list[tuple[str, str]] = []

    def rows(self, raw: Iterable[tuple[int, dict[str, object]]]) -> Iterator[tuple[int, dict[str, object]]]:
        """Rows of tasks."""
        for line, row in raw:
            missing = [k for k in WANTED if k not in row]
            if missing:
                raise DataError(
                    "not an instance of SWE-bench", where=f"line {line}", wanted=", ".join(WANTED),
                    got="without " + ", ".join(missing), fix="leave `repos` out for other data",
                )  # fmt: skip
            try:
                yield line, self._row(row)
            except _Unfit as e:
                self.skipped.append((str(row["instance_id"]), str(e)))

    def _row(self, row: dict[str, object]) -> dict[str, object]:
        repo, commit = str(row["repo"]), str(row["base_commit"])
        clone = self._clone(repo)
        if not _COMMIT.fullmatch(commit) or _git(clone, "cat-file", "-e", f"{commit}^{{commit}}") is None:
            raise _Unfit(f"its commit {commit[:12]} is not in the clone {clone}")
        wanted = (*_names(row["FAIL_TO_PASS"]), *_names(row.get("PASS_TO_PASS", [])))
        if not wanted:
            raise _Unfit("it names no tests")
        if any("::" not in t for t in wanted):
            raise _Unfit("its tests are not named as pytest names them (`path::test`)")
        patch = str(row["test_patch"])
        files = _touched(patch)
        if not any(_TEST.search(f) for f in files):
            raise _Unfit("its test patch changes no pytest file")
        add = self.archives.add
        shown = str(row["instance_id"])
        gold = str(row.get("patch") or "")
        work = Agentic(
            workspace=add(lambda: _tree(clone, commit), shown),
            grader=add(lambda: _tests(clone, commit, patch, wanted), shown),
            solution=add(lambda: _patched(clone, commit, gold), shown) if gold else "",
            git=True,
            workdir="/testbed",
            decoys=("/tests", "/solution"),
            judged=GraderSpec(seconds=1800.0, memory_mib=2048, tests=wanted, isolate=False),
        )
        return {
            "id": shown,
            "input": str(row["problem_statement"]),
            "cluster": repo,
            "conditions": {"repo": repo, **({"version": str(row["version"])} if row.get("version") else {})},
            "agentic": msgspec.to_builtins(work),
        }

    def _clone(self, repo: str) -> Path:
        owner, _, name = repo.partition("/")
        for place in (f"{owner}__{name}", f"{owner}/{name}", name, f"{name}.git", f"{owner}__{name}.git"):
            found = self._repos / place
            if name and found.resolve().is_relative_to(self._repos.resolve()) and found.is_dir():
                return found
        raise _Unfit(f"no clone of {repo} is in {self._repos}")


def _names(value: object) -> tuple[str, ...]:
    """Names of tests: a list, or the JSON text of one."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise _Unfit("its tests are no list") from None
    if not isinstance(value, list):
        raise _Unfit("its tests are no list")
    return tuple(str(v) for v in value)


def _touched(patch: str) -> list[str]:
    return [line[6:].strip() for line in patch.splitlines() if line.startswith("+++ b/")]


def _tree(clone: Path, commit: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="steelyard-tree-") as place:
        _checkout(clone, commit, Path(place))
        return tree_archive(Path(place))


def _tests(clone: Path, commit: str, patch: str, wanted: tuple[str, ...]) -> bytes:
    """The test files after the test patch: those that it touches, and those that hold a named test."""
    with tempfile.TemporaryDirectory(prefix="steelyard-tree-") as name:
        place = Path(name)
        _checkout(clone, commit, place)
        _apply(place, patch)
        paths = {*_touched(patch), *(t.partition("::")[0] for t in wanted)}
        paths |= {str(p.relative_to(place)) for p in place.rglob("conftest.py")}
        return archive_of({p: (place / p).read_bytes() for p in paths if (place / p).is_file()})


def _patched(clone: Path, commit: str, patch: str) -> bytes:
    """An overlay: what the gold patch changes."""
    with tempfile.TemporaryDirectory(prefix="steelyard-tree-") as name:
        place = Path(name)
        _checkout(clone, commit, place)
        _apply(place, patch)
        gone = re.findall(r"^--- a/(.+)\n\+\+\+ /dev/null", patch, re.MULTILINE)
        files = {p: (place / p).read_bytes() for p in _touched(patch) if (place / p).is_file()}
        if gone:
            files[".delete"] = "".join(f"{p}\n" for p in gone).encode()
        return archive_of(files)


def _checkout(clone: Path, commit: str, place: Path) -> None:
    index = place / ".steelyard-index"
    env = {"GIT_INDEX_FILE": str(index)}
    if _git(clone, "read-tree", commit, env=env) is None:
        raise _Unfit("its tree cannot be read from the clone")
    if _git(clone, "checkout-index", "-a", "-f", f"--prefix={place}/", env=env) is None:
        raise _Unfit("its tree cannot be written from the clone")
    index.unlink(missing_ok=True)


def _apply(place: Path, patch: str) -> None:
    try:
        subprocess.run(["git", "apply", "--whitespace=nowarn", "-"], cwd=place, input=patch.encode(), env=_env({}),
                       capture_output=True, timeout=_GIT_S, check=True)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        raise _Unfit("a patch of it does not apply to its commit") from None


def _git(clone: Path, *args: str, env: dict[str, str] | None = None) -> str | None:
    bare = (clone / "HEAD").is_file()
    where = ["--git-dir", str(clone if bare else clone / ".git")]
    safe = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*"]
    try:
        done = subprocess.run(["git", *safe, *where, *args], cwd="/", env=_env(env or {}), capture_output=True,
                              timeout=_GIT_S, check=True)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def _env(more: dict[str, str]) -> dict[str, str]:
    plain = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CEILING_DIRECTORIES": "/",
    }
    return {**plain, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", **more}
