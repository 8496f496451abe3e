"""Try every shipped cheat against a grader, and say which ones it accepts.

The grader is ours, or a command of the user's own that runs in the changed tree with the hidden files laid
over it, and accepts by exit status 0. A gold solution must be accepted and the untouched base refused:
otherwise the answer about cheats means nothing.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from steelyard.errors import DataError
from steelyard.sandbox.base import Command, Ended
from steelyard.sandbox.box import NamespaceBox
from steelyard.sandbox.profile import Profile
from steelyard.sandbox.snapshot import Change, Snapshot, apply
from steelyard.sandbox.tree import Tree
from steelyard.scorers.code.channel import Bench
from steelyard.scorers.code.cheats import Cheat, Files, Target, cheats
from steelyard.scorers.code.grade import Job, Standing, grade


@dataclass(frozen=True, slots=True)
class Proof:
    """What a grader said of one task: of its gold solution, of nothing, and which cheats it accepts."""

    task: str
    gold: str
    null: str
    accepted: tuple[str, ...]
    tried: int
    flaws: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """A task as directories: `workspace/`, `grader/` (hidden files), `solution/` (laid over the workspace)."""

    name: str
    base: Path
    hidden: Path
    solution: Path

    @property
    def fits(self) -> bool:
        """Whether the cheats, which stand in the place of a solution's Python files, can be tried on it."""
        return (
            not (self.solution / "solve.sh").exists() and next(self.solution.rglob("*.py"), None) is not None
        )

    @staticmethod
    def find(suite: Path) -> list[Material]:
        """Every task below `suite`, or `suite` itself. Raises `DataError` when there is none."""
        found = []
        for place in [suite, *sorted(p for p in suite.iterdir() if p.is_dir())] if suite.is_dir() else []:
            parts = [place / name for name in ("workspace", "grader", "solution")]
            if all(p.is_dir() for p in parts):
                found.append(Material(place.name, *parts))
        if not found:
            raise DataError(
                "no task to prove a grader on",
                where=str(suite),
                wanted="a directory with workspace/, grader/ and solution/, or a directory of such",
            )
        return found


def prove(material: Material, bench: Bench, *, command: tuple[str, ...] = (), workers: int = 2) -> Proof:
    """Run gold, null and every cheat through the grader."""
    base, hidden, solution = (
        Snapshot.take(Tree.at(p)) for p in (material.base, material.hidden, material.solution)
    )
    changed = {p: i for p, i in solution.items.items() if i.kind == "file" and base.items.get(p) != i}
    sources = {p: solution.read(p).decode(errors="replace") for p in changed if p.endswith(".py")}
    if not sources:
        raise DataError("the solution changes no Python file", where=str(material.solution))
    target = Target.of(sources)
    gold_files = {p: solution.read(p) for p in changed}

    def judged(files: Files) -> tuple[str, str]:
        with tempfile.TemporaryDirectory(prefix="steelyard-prove-") as place:
            _lay(Path(place), base, files)
            if command:
                return _by_command(Path(place), hidden, bench, command)
            verdict = grade(Job(material.base, Path(place), material.hidden), bench)
            return verdict.standing.value, verdict.reason

    def tried(cheat: Cheat) -> tuple[str, str]:
        return cheat.name, judged(cheat.make(target))[0]

    with ThreadPoolExecutor(workers) as pool:
        (gold, why_gold), (null, why_null) = pool.map(judged, (gold_files, {}))
        outcomes = list(pool.map(tried, cheats()))
    accepted = tuple(name for name, said in outcomes if said == Standing.SOLVED.value)
    flaws = []
    if gold != Standing.SOLVED.value:
        flaws.append(f"the gold solution is {gold}: {why_gold}")
    if null != Standing.NOT_SOLVED.value:
        flaws.append(f"the untouched base is {null}: {why_null}")
    return Proof(material.name, gold, null, accepted, len(outcomes), tuple(flaws))


def _lay(place: Path, base: Snapshot, files: Files) -> None:
    tree = Tree.at(place)
    try:
        apply(tree, [Change(p, None, i) for p, i in sorted(base.items.items())], base.read)
        for path, data in files.items():
            tree.write(path, data)
    finally:
        tree.close()


def _by_command(place: Path, hidden: Snapshot, bench: Bench, command: tuple[str, ...]) -> tuple[str, str]:
    """The user's own grader: a command in the contestant's tree, believed by its exit status; and how it ended."""
    packages = bench.interpreter.packages
    env = (("PYTHONPATH", ":".join(packages)),) if packages else ()
    profile = Profile(limits=bench.limits, mounts=bench.interpreter.mounts, env=env, base=place)
    with NamespaceBox(profile, oneshot=True) as box:
        apply(box.workspace, [Change(p, None, i) for p, i in sorted(hidden.items.items())], hidden.read)
        argv = tuple(part.replace("{python}", bench.interpreter.path) for part in command)
        result = box.execute(Command(argv))
    said = (result.stderr.strip() or result.stdout.strip()).decode(errors="replace").splitlines()[-1:]
    code = result.ended.value if result.status is None else f"status {result.status}"
    how = ": ".join([f"the command ended with {code}", *said])
    if result.ended is Ended.FAULT:
        return Standing.UNGRADED.value, how
    return (Standing.SOLVED if result.ok else Standing.NOT_SOLVED).value, how
