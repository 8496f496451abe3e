"""Judge a changed tree by hidden tests: solved, not solved, or ungraded with the reason.

1. Rebuild the tree from the base, the allowed changes and the hidden files (`rebuild`).
2. Where the tests only call functions with plain values, run them with the code in another sandbox, which
   holds no hidden file (`interface`). Such a verdict is final.
3. Otherwise run them in one process; when all pass, run them again with places turned (`instrument`): a
   solution that passes a test that an honest one must fail is tampering.
4. A run that breaks is tried on the base (or a gold solution): only when that breaks too is it the grader's.
"""

from __future__ import annotations

import contextlib
import enum
import random
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from steelyard.errors import DataError
from steelyard.sandbox.base import Ended
from steelyard.sandbox.snapshot import Snapshot
from steelyard.sandbox.tree import Caps, Tree, over
from steelyard.scorers.code.channel import Bench, Heard, Orders, run
from steelyard.scorers.code.instrument import Instrumented, Names, instrument, is_test_file
from steelyard.scorers.code.interface import callable_only
from steelyard.scorers.code.rebuild import Rebuilt, Rules, rebuild

if TYPE_CHECKING:
    from pathlib import Path

_PLUGINS = {"asyncio": "pytest_asyncio.plugin", "mocker": "pytest_mock", "anyio": "anyio.pytest_plugin"}
_TURNS = 3
_CAPS = Caps(entries=100_000, total=1 << 30)


class Standing(enum.StrEnum):
    """How a tree stands."""

    SOLVED = "solved"
    NOT_SOLVED = "not_solved"
    UNGRADED = "ungraded"


@dataclass(frozen=True, slots=True)
class Grade:
    """The verdict. `tests` holds each test's outcome; `flags` what looks like cheating; `mode` how it ran."""

    standing: Standing
    reason: str
    tests: dict[str, str] = field(default_factory=dict)
    mode: str = ""
    why_mode: str = ""
    tripwires: int = 0
    tampered: bool = False
    taken: tuple[str, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()
    wall_s: float = 0.0

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "format": "steelyard.grade/1",
            "standing": self.standing.value,
            "reason": self.reason,
            "tests": self.tests,
            "mode": self.mode,
            "why_mode": self.why_mode or None,
            "tripwires": self.tripwires,
            "tampered": self.tampered,
            "changes": {"taken": list(self.taken), "dropped": [list(d) for d in self.dropped]},
            "flags": list(self.flags),
            "wall_s": round(self.wall_s, 3),
        }


@dataclass(frozen=True, slots=True)
class Job:
    """What to grade. `gold` is a tree that solves the task, when there is one."""

    base: Path
    workspace: Path
    hidden: Path
    gold: Path | None = None
    rules: Rules = field(default_factory=Rules)
    isolate: bool = True


@dataclass(frozen=True, slots=True)
class Trees:
    """A job whose trees were read. `required` names the tests that count when not all do; `shown` is for errors."""

    base: Snapshot
    workspace: Snapshot
    hidden: Snapshot
    gold: Snapshot | None = None
    rules: Rules = field(default_factory=Rules)
    isolate: bool = True
    required: tuple[str, ...] = ()
    shown: str = ""


def grade(job: Job, bench: Bench) -> Grade:
    """The verdict on one tree. Raises `DataError` for inputs that cannot be read, `SandboxError` for ours."""
    places = [job.base, job.workspace, job.hidden, *([job.gold] if job.gold else [])]
    with contextlib.ExitStack() as stack:
        trees = [stack.enter_context(contextlib.closing(Tree.at(p))) for p in places]
        base, workspace, hidden, *gold = (Snapshot.take(tree, _CAPS) for tree in trees)
        for place, snapshot in ((job.base, base), (job.hidden, hidden)):
            if over(snapshot.skipped):
                path, why = over(snapshot.skipped)[0]
                raise DataError("too large to grade", where=f"{place}/{path}", got=why)
        known, shown = (gold[0] if gold else None), str(job.hidden)
        read = Trees(base, workspace, hidden, known, job.rules, job.isolate, shown=shown)
        return grade_trees(read, bench)


def grade_trees(trees: Trees, bench: Bench) -> Grade:
    """The verdict on a tree that was read before. Raises as `grade` does."""
    return _Grading(trees, bench).judge(trees.workspace)


class _Grading:
    def __init__(self, job: Trees, bench: Bench) -> None:
        base, hidden = job.base, job.hidden
        self.job, self.bench, self.base, self.hidden = job, bench, base, hidden
        self.files = sorted(p for p, i in hidden.items.items() if i.kind == "file" and is_test_file(p))
        if not self.files:
            raise DataError(
                "no hidden test file", where=job.shown, wanted="files named test_*.py or *_test.py"
            )
        words = [secrets.token_hex(4) for _ in range(7)]
        self.names = Names(*[f"{'abcdefgh'[i]}{w}" for i, w in enumerate(words)])
        self.sources = {p: hidden.read(p).decode(errors="replace") for p in self.files}
        self.marked: dict[str, Instrumented] = {}
        site = 1
        self.trouble = ""
        for path, source in self.sources.items():
            try:
                self.marked[path] = instrument(source, path, self.names, site)
            except DataError as e:
                self.trouble = str(e)
                continue
            site += len(self.marked[path].sites)

    def judge(self, workspace: Snapshot) -> Grade:
        """The verdict."""
        tree = rebuild(self.base, workspace, self.hidden, self.job.rules)
        if self.trouble:
            return self._end(tree, Standing.UNGRADED, self.trouble, Heard())
        if not any(m.tests for m in self.marked.values()):
            return self._end(tree, Standing.UNGRADED, "the hidden files hold no test that runs", Heard())
        remote, why = callable_only(self.sources, _modules(tree))
        if any(p.rsplit("/", 1)[-1] == "conftest.py" for p in tree.items):
            remote, why = [], "there is a conftest.py, whose fixtures are not known"
        if remote and self.job.isolate:
            heard = self._run(tree, {}, self._orders(tree, remote=tuple(remote)))
            if not heard.foreign:
                return self._conclude(tree, heard, "isolated", "")
            why = f"the code under test exchanges {heard.foreign}"
        texts = {p: m.text for p, m in self.marked.items()}
        heard = self._run(tree, texts, self._orders(tree))
        return self._conclude(tree, heard, "one process", why)

    def _orders(
        self, tree: Rebuilt, *, remote: tuple[str, ...] = (), turned: frozenset[int] = frozenset()
    ) -> Orders:
        joined = "\n".join(self.sources.values())
        plugins = tuple(module for word, module in _PLUGINS.items() if word in joined)
        paths = ("", "src") if "src" in tree.items and tree.items["src"].kind == "dir" else ("",)
        names = self.names
        literals = {site: text for m in self.marked.values() for site, text in m.literals.items()}
        return Orders(
            tuple(self.files), names.helper, names.roles(), paths, plugins, remote, turned, literals
        )

    def _run(self, tree: Rebuilt, texts: dict[str, str], orders: Orders) -> Heard:
        """One run of the tests; a sandbox that broke is tried once more before it counts as the solution's doing."""
        heard = run(self.bench, tree, texts, orders)
        return run(self.bench, tree, texts, orders) if heard.ended is Ended.FAULT else heard

    def _conclude(self, tree: Rebuilt, heard: Heard, mode: str, why: str) -> Grade:
        missing = self._missing(heard)
        passed = all(outcome == "passed" for outcome in self._required(heard).values())
        if passed and heard.complete and not missing:
            if mode == "isolated":
                return self._end(tree, Standing.SOLVED, "every hidden test passed", heard, (mode, "", 0))
            return self._turn(tree, heard, why)
        broken = heard.broken()
        if broken and self._also_broken(broken):
            reason = f"the grader breaks without the solution too: {broken}"
            return self._end(tree, Standing.UNGRADED, reason, heard, (mode, why, 0))
        return self._end(tree, Standing.NOT_SOLVED, self._reason(heard, missing), heard, (mode, why, 0))

    def _missing(self, heard: Heard) -> list[str]:
        """Tests that the hidden files define and that were not heard of, or in fewer cases."""
        missing = []
        if self.job.required:
            return [name for name in self.job.required if name not in heard.cases]
        for path, marked in self.marked.items():
            for name in marked.tests:
                prefix = f"{path}::{name}"
                found = [i for i in heard.cases if i == prefix or i.startswith(prefix + "[")]
                if len(found) < marked.counts.get(name, 1):
                    missing.append(prefix)
        return missing

    def _required(self, heard: Heard) -> dict[str, str]:
        """Outcomes of the tests that count: those that their author does not skip."""
        if self.job.required:
            return {i: c.outcome for i, c in heard.cases.items() if i in self.job.required}
        names = {f"{path}::{name}" for path, marked in self.marked.items() for name in marked.tests}
        return {i: c.outcome for i, c in heard.cases.items() if i.partition("[")[0] in names}

    def _must(self, name: str) -> frozenset[int]:
        """Places that this test cannot end well without."""
        path, _, test = name.partition("[")[0].partition("::")
        return self.marked[path].must.get(test, frozenset()) if path in self.marked else frozenset()

    def _reason(self, heard: Heard, missing: list[str]) -> str:
        if heard.ended.value != "exited":
            return f"the run of the tests ended by {heard.ended.value}"
        bad = [i for i, outcome in self._required(heard).items() if outcome != "passed"]
        if bad:
            return f"{len(bad)} of {len(heard.cases)} tests did not pass, the first: {bad[0]}"
        if heard.uncollected:
            path, why = next(iter(heard.uncollected.items()))
            lines = [line for line in why.splitlines() if line.startswith("E ")] or why.splitlines()[-1:]
            return f"{path} could not be collected: {lines[-1].strip() if lines else why}"
        if missing:
            return f"{len(missing)} tests did not run, the first: {missing[0]}"
        return "the run of the tests did not reach its end"

    def _also_broken(self, symptom: str) -> bool:
        """Whether the tests break in the same way on a gold solution, or else on the base alone."""
        known = self.job.gold or self.base
        tree = rebuild(self.base, known, self.hidden, self.job.rules)
        texts = {p: m.text for p, m in self.marked.items()}
        heard = self._run(tree, texts, self._orders(tree))
        return heard.broken() == symptom

    def _turn(self, tree: Rebuilt, heard: Heard, why: str) -> Grade:
        """The tripwires: the same tests with places turned, which an honest solution fails."""
        how = ("one process", why, 0)
        draw = random.Random(secrets.randbits(64))
        kinds = {site: kind for m in self.marked.values() for site, kind in m.sites.items()}
        idle = [i for i, c in heard.cases.items() if not c.sites and i in self._required(heard)]
        if idle:
            reason = f"{idle[0]} passed without running"
            return self._end(tree, Standing.NOT_SOLVED, reason, heard, how, tampered=True)
        led = [
            i for i, c in heard.cases.items() if self._must(i) - set(c.sites) and i in self._required(heard)
        ]
        if led:
            reason = f"{led[0]} passed without coming through all of it"
            return self._end(tree, Standing.NOT_SOLVED, reason, heard, how, tampered=True)
        texts = {p: m.text for p, m in self.marked.items()}
        count = 0
        for turn in range(_TURNS):
            turned: set[int] = set()
            for case in heard.cases.values():
                sites = [s for s in case.sites if s in kinds]
                values = [s for s in sites if kinds[s] == "value"]
                others = [s for s in sites if kinds[s] in ("truth", "raises")]
                choice = ([values, others or values, sites][turn]) or sites
                if choice:
                    turned.add(draw.choice(choice))
            again = self._run(tree, texts, self._orders(tree, turned=frozenset(turned)))
            for name, case in heard.cases.items():
                if not turned & set(case.sites):
                    continue
                count += 1
                if name in again.cases and again.cases[name].outcome == "passed":
                    reason = f"{name} passed although what it expects was made wrong"
                    return self._end(tree, Standing.NOT_SOLVED, reason, heard, how, tampered=True)
            if not again.finished:
                reason = "the tests did not reach their end when what they expect was made wrong"
                return self._end(tree, Standing.NOT_SOLVED, reason, heard, how, tampered=True)
        return self._end(
            tree, Standing.SOLVED, "every hidden test passed", heard, ("one process", why, count)
        )

    def _end(
        self,
        tree: Rebuilt,
        standing: Standing,
        reason: str,
        heard: Heard,
        how: tuple[str, str, int] = ("", "", 0),
        *,
        tampered: bool = False,
    ) -> Grade:
        """The verdict; `how` is the mode, why not the stronger one, and the number of tripwires."""
        flags = list(tree.flags)
        if tampered:
            flags.append(reason)
        if heard.forged:
            flags.append(f"{heard.forged} unsigned notes on the verdict channel")
        if heard.unreachable:
            asked = f" (names looked up: {', '.join(heard.names[:5])})" if heard.names else ""
            flags.append(f"{heard.unreachable} attempts to reach a network{asked}")
        return Grade(
            standing,
            reason,
            {i: c.outcome for i, c in heard.cases.items()},
            *how,
            tampered,
            tree.taken,
            tree.dropped,
            tuple(flags),
            heard.wall_s,
        )


def _modules(tree: Rebuilt) -> set[str]:
    """Importable names of the tree's own code, from its root and from src/."""
    found = set()
    for path, item in tree.items.items():
        if item.kind != "file" or not path.endswith(".py") or is_test_file(path):
            continue
        for top in ("", "src/"):
            if path.startswith(top):
                parts = path[len(top) : -3].split("/")
                if parts[-1] == "__init__":
                    parts.pop()
                if parts and all(p.isidentifier() for p in parts):
                    found.add(".".join(parts))
    return found
