"""Is a suite fit: its gold passes every time, doing nothing fails, wrong solutions fail, nothing hidden shows.

Agentic tasks are really done by the policies, in sandboxes, and judged by the same scorer as in a run. Ordinary tasks
are judged on their own target and on silence. Nothing is sent and nothing is recorded.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from steelyard import scorers, tasks
from steelyard.contestants.base import Answer, Ask, Place
from steelyard.contestants.policies import Policy
from steelyard.contestants.purses import FreePurse
from steelyard.contestants.workplace import open_place
from steelyard.errors import DataError, EndedBy, Fault, PlanError, SteelyardError
from steelyard.ledger.base import SuiteData
from steelyard.runner.materials import Materials
from steelyard.runner.places import place_of
from steelyard.runner.scoring import most_graders
from steelyard.sandbox.snapshot import Snapshot
from steelyard.schema.contestant import ContestantSpec, Prompt
from steelyard.schema.message import text_of
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score
from steelyard.schema.task import Agentic, Task
from steelyard.schema.trace import Said, decode_trace
from steelyard.scorers.base import Bindable, Item, Scorer
from steelyard.scorers.code.instrument import is_test_file
from steelyard.tasks.archives import whole
from steelyard.tasks.render import answer_of

_SMALL = 24
"""Bytes under which two files may be the same by chance."""


@dataclass
class Checked:
    """What was found of one task. `problems` are what makes it unfit, `notes` what one should know."""

    task: str
    gold: str = ""
    null: str = ""
    wrong: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """Of a suite: its tasks, and those of another tool's that were left out with the reason."""

    suite: str
    version: str
    tasks: tuple[Checked, ...]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]

    @property
    def unfit(self) -> int:
        """Tasks with a problem."""
        return sum(bool(t.problems) for t in self.tasks)

    @property
    def undecided(self) -> int:
        """Tasks of which something could not be told."""
        return sum(bool(t.undecided) for t in self.tasks)


def check_suite(suite: tasks.Suite, *, times: int = 1, only: Sequence[str] = ()) -> Report:
    """Check every task (or those of `only`). Raises PlanError for a task that is not there, SandboxError."""
    chosen = [i for i in range(len(suite)) if not only or suite.task(i).id in only]
    missing = set(only) - {suite.task(i).id for i in chosen}
    if missing:
        raise PlanError("no such task in the suite", got=", ".join(sorted(missing)))
    materials = Materials(suite.archive)
    try:
        done = asyncio.run(_all(suite, chosen, materials, times))
    finally:
        materials.close()
    work = suite.work
    return Report(
        suite.header.name,
        suite.header.version,
        tuple(done),
        tuple(work.skipped) if work is not None else (),
        tuple(work.notes) if work is not None else (),
    )


async def _all(suite: tasks.Suite, chosen: Sequence[int], materials: Materials, times: int) -> list[Checked]:
    gate = asyncio.Semaphore(most_graders())
    scorer = scorers.build(suite.header.scorer or {"type": "exact"}, base_dir=suite.folder)

    async def one(i: int) -> Checked:
        task = suite.task(i)
        async with gate:
            began = time.monotonic()
            if task.agentic is not None:
                wrong = suite.work.wrong.get(task.id, {}) if suite.work is not None else {}
                found = await _Working(task, task.agentic, materials, scorer).checked(times, wrong)
            else:
                found = await asyncio.to_thread(_ordinary, suite, i, scorer)
            found.seconds = time.monotonic() - began
            return found

    return list(await asyncio.gather(*(one(i) for i in chosen)))


# -- ordinary tasks -------------------------------------------------------------------------------------------


def _ordinary(suite: SuiteData, i: int, scorer: Scorer | scorers.Judge) -> Checked:
    """The target scores 1 by the suite's own scorer, silence does not."""
    task = suite.task(i)
    found = Checked(task.id)
    if not isinstance(scorer, Scorer):
        found.notes.append("judged by a model, which is not asked here")
        return found
    try:
        shown = tasks.render(suite, i, Prompt(), seed=0, shuffle=False)
        right = answer_of(task, shown.order) if task.target else ""
    except SteelyardError as e:
        found.problems.append(f"it cannot be shown: {e}")
        return found
    wrong = getattr(scorer, "check", None)
    said = wrong(Item(task, Reply())) if callable(wrong) else ""
    if said:
        found.problems.append(said if task.split != "held_out" else "its target is unfit")
        return found
    if not right:
        found.notes.append("it has no target that could be given as an answer")
    else:
        score = _scored(scorer, Item(task, Reply(right), shown.order, messages=shown.messages))
        found.gold = score.outcome.name.lower()
        if score.outcome is not Outcome.PASSED:
            found.problems.append(f"its own target is judged {found.gold}")
    empty = _scored(scorer, Item(task, Reply(""), shown.order, messages=shown.messages))
    found.null = empty.outcome.name.lower()
    if empty.outcome is Outcome.PASSED or (empty.value or 0) > 0:
        found.problems.append("saying nothing scores above 0")
    return found


def _scored(scorer: Scorer, item: Item) -> Score:
    try:
        return scorer.score(item)
    except Fault as e:
        return Score(Outcome.UNGRADED, None, cause=e.kind, explanation=str(e))


# -- agentic tasks --------------------------------------------------------------------------------------------


class _Working:
    """Checks one agentic task."""

    def __init__(
        self, task: Task, work: Agentic, materials: Materials, scorer: Scorer | scorers.Judge
    ) -> None:
        if not isinstance(scorer, Bindable):
            raise DataError("a suite of agentic tasks is checked with its own scorer", wanted="workspace")
        self.task, self.work, self.materials = task, work, materials
        self.judge = scorer.bound(materials.archive)
        self.found = Checked(task.id)
        self.broke = ""
        """How the script of the solution tried last failed, "" when it did not."""

    async def checked(self, times: int, wrong: dict[str, str]) -> Checked:
        """All checks of the task."""
        found = self.found
        await self._gold(times)
        null = await self._tried("null")
        found.null = _word(null)
        if null.outcome is Outcome.PASSED or (null.value or 0) > 0:
            found.problems.append("doing nothing scores above 0")
        elif null.outcome is Outcome.UNGRADED:
            self._lost("doing nothing", null)
        for name, digest in sorted(wrong.items()):
            score = await self._tried("gold", solution=digest)
            found.wrong[name] = _word(score)
            if score.outcome is Outcome.PASSED:
                found.problems.append(f"the wrong solution `{name}` is judged solved")
            elif score.outcome is Outcome.UNGRADED:
                self._lost(f"the wrong solution `{name}`", score)
        await asyncio.to_thread(self._hidden)
        return found

    async def _gold(self, times: int) -> None:
        found = self.found
        said = self.task.target and self.work.judged.kind == "answer"
        if not self.work.solution and not said:
            found.undecided.append("it has no solution, so nobody knows whether it can be solved")
            return
        scores = [await self._tried("gold") for _ in range(times)]
        passed = sum(s.outcome is Outcome.PASSED for s in scores)
        found.gold = f"{passed} of {times}"
        lost = [s for s in scores if s.outcome is Outcome.UNGRADED]
        if lost:
            self._lost("its solution", lost[0])
        if passed + len(lost) < times:
            bad = next(s for s in scores if s.outcome is not Outcome.PASSED and s not in lost)
            flaky = passed and "it is flaky: "
            found.problems.append(
                f"{flaky or ''}its solution passed {found.gold}: {self._shown(bad.explanation)}"
                + (f"; {self._shown(self.broke)}" if self.broke else "")
            )
        flags = Counter(
            line for s in scores for line in s.explanation.splitlines() if line.startswith("flag: ")
        )
        network = [f for f in flags if "reach a network" in f]
        if network:
            asked = re.search(r"names looked up: ([^)]*)", " ".join(network))
            names = f" (it looks up {self._shown(asked[1])})" if asked else ""
            found.problems.append(f"its grader, or its solution under the grader, needs a network{names}")
        found.notes += [
            f"its solution looks like cheating: {self._shown(f[6:])}" for f in flags if f not in network
        ]

    async def _tried(self, policy: str, *, solution: str | None = None) -> Score:
        """What a policy's attempt scores; `solution` is the digest of an overlay in the place of the gold's."""
        spec = ContestantSpec(policy, "policy", config={"policy": policy})
        target = self.task.target
        gold = "\n".join(target) if isinstance(target, tuple) else target
        try:
            place = await asyncio.to_thread(place_of, self.work, spec, self.materials)
            if solution is not None:
                place = replace(place, solution=await asyncio.to_thread(self.materials.laid_out, solution))
                gold = ""
            ask = Ask((), self.task.id, 0, 0, place=place, gold=gold)
            answer = await Policy(spec, {}).work(ask, FreePurse())
            self.broke = _script_end(answer) if policy == "gold" else self.broke
            return await asyncio.to_thread(self.judge, self._item(answer))
        except Fault as e:
            return Score(Outcome.UNGRADED, None, cause=f"{e.ended_by.value}:{e.kind}", explanation=str(e))

    def _item(self, answer: Answer) -> Item:
        return Item(
            self.task, answer.reply, ended_by=answer.ended_by.value, changes=answer.changes, state=answer.state,
            limit=answer.limit,
        )  # fmt: skip

    def _shown(self, text: str) -> str:
        """What a check says of a task's inside; of a held-out one nothing."""
        return text[:300] if self.task.split != "held_out" else "(held out: not shown)"

    def _lost(self, what: str, score: Score) -> None:
        known = (
            score.cause.partition(":")[0] in (EndedBy.GRADER, EndedBy.OPERATOR)
            or score.cause == "grader_broken"
        )
        told = self.found.problems if known else self.found.undecided
        told.append(f"{what} has no verdict ({score.cause}): {self._shown(score.explanation)}")

    def _hidden(self) -> None:
        """Nothing of grader, solution or environment is in the contestant's box."""
        spec = ContestantSpec("null", "policy", config={"policy": "null"})
        place: Place = place_of(self.work, spec, self.materials)
        hidden: dict[str, str] = {}
        base = whole(self.materials.archive(self.work.workspace))
        for name, digest in (("grader", self.work.grader), ("solution", self.work.solution),
                             ("environment", self.work.environment)):  # fmt: skip
            for path, item in whole(self.materials.archive(digest)).items.items():
                told = name != "grader" or is_test_file(path)
                same = path in base.items and base.items[path].digest == item.digest and name == "solution"
                if item.kind == "file" and item.size > _SMALL and told and not same:
                    hidden[item.digest] = f"{name}/{path}"
        try:
            with open_place(place) as box:
                looked = (
                    box.run(["/bin/sh", "-c", "ls -A " + " ".join(place.decoys)]) if place.decoys else None
                )
                box.close()
                seen = Snapshot.take(box.workspace)
        except Fault as e:
            self.found.undecided.append(f"its box could not be opened: {e}")
            return
        for path, item in seen.items.items():
            if item.digest in hidden:
                self.found.problems.append(
                    f"{self._shown(hidden[item.digest])} is visible in the workspace as {path}"
                )
        shown = [] if looked is None else [line for line in looked.stdout.decode(errors="replace").splitlines()
                                          if line and not line.endswith(":")]  # fmt: skip
        if shown:
            self.found.problems.append(
                f"where hidden tests would be, the contestant finds {', '.join(shown[:5])}"
            )


def _script_end(answer: Answer) -> str:
    """How a solution's script failed, by the attempt's trace; "" when none did."""
    for event in reversed(decode_trace(answer.trace).events):
        if isinstance(event, Said) and event.error:
            last = text_of(event.message).strip().splitlines()[-1:]
            return f"its solve.sh ended with {event.error}" + (f": {last[0]}" if last else "")
    return ""


def _word(score: Score) -> str:
    return f"ungraded ({score.cause})" if score.outcome is Outcome.UNGRADED else score.outcome.name.lower()
