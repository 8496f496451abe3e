"""Small plans, suites and rows for tests of ledgers, and what checks of them share."""

from collections.abc import Callable, Iterable, Sequence

from steelyard.errors import SteelyardError
from steelyard.ledger.base import Ledger, TrialRow
from steelyard.schema.canon import content_hash
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.plan import Plan, SuiteUse
from steelyard.schema.record import Intent, Record, Result, Scored
from steelyard.schema.reply import Reply, Timing, Usage
from steelyard.schema.score import PASSED, Score
from steelyard.schema.task import SuiteHeader, Task

Open = Callable[[], Ledger]


class ListSuite:
    """A suite in memory: the scripted twin of suites from files."""

    def __init__(self, name: str, tasks: Sequence[Task]) -> None:
        held_out = sum(t.split == "held_out" for t in tasks)
        self.header = SuiteHeader(
            name, version=content_hash(list(tasks)), n_public=len(tasks) - held_out, n_held_out=held_out
        )
        self._tasks = tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def task(self, i: int) -> Task:
        """The task at index `i`."""
        return self._tasks[i]


def sums(n: int, name: str = "sums") -> ListSuite:
    """A suite of `n` sums; every fifth task is held out."""
    return ListSuite(
        name,
        [
            Task(
                id=f"{name}-{i}",
                input=f"What is {i} + {i * i}?",
                target=str(i + i * i),
                conditions={"size": "small" if i < 10 else "large"},
                split="held_out" if i % 5 == 4 else "public",
            )
            for i in range(n)
        ],
    )


def plan_of(*contestants: str, suites: Iterable[str] = ("sums",), name: str = "") -> Plan:
    """A small plan."""
    return Plan(
        suites=tuple(SuiteUse(f"{s}.jsonl", name=s) for s in suites),
        contestants=tuple(ContestantSpec(c, "endpoint", model=c) for c in contestants or ("stub",)),
        name=name,
    )


def intent(c: int, t: int, k: int = 0, a: int = 0, *, reserved: int | None = 50, role: str = "") -> Intent:
    """An intent with a seed that depends on the trial."""
    return Intent(c, t, k, a, at=1_000 + t, seed=hash((c, t, k, a)) & 0xFFFF, reserved=reserved, role=role)


def result(c: int, t: int, k: int = 0, a: int = 0, *, cost: int | None = 10, final: bool = True) -> Result:
    """An attempt that the contestant ended, with a short reply."""
    reply = Reply(text=f"{c}:{t}:{k}", usage=Usage(20, 5), timing=Timing(1_000, 2_000_000), model="stub")
    return Result(c, t, k, a, at=2_000 + t, ended_by="contestant", final=final, cost=cost, reply=reply)


def fault(c: int, t: int, k: int = 0, a: int = 0, *, final: bool = False, cost: int | None = 0) -> Result:
    """An attempt that the provider ended."""
    return Result(
        c,
        t,
        k,
        a,
        at=3_000,
        ended_by="provider",
        final=final,
        cost=cost,
        fault="http_500",
        detail="server error",
    )


def whole_trial(c: int, t: int, k: int = 0, score: Score = PASSED, scorer: str = "exact@1") -> list[Record]:
    """Intent, result and score of one trial."""
    return [intent(c, t, k), result(c, t, k), Scored(c, t, k, 0, scorer, score)]


def refuses(kind: type[SteelyardError], action: Callable[[], object]) -> SteelyardError:
    """The error of this kind that the action raises; an AssertionError when it raises none."""
    try:
        action()
    except kind as e:
        return e
    raise AssertionError(f"wanted {kind.__name__}, nothing was raised")


def eager(rows: Iterable[TrialRow]) -> list[TrialRow]:
    """All trials at once."""
    return list(rows)
