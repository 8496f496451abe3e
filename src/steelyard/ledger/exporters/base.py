"""Trials with names in place of numbers, and with held-out content taken out: what every exporter starts from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from steelyard.ledger.base import Ledger, TrialRow
from steelyard.schema.message import text_of
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome
from steelyard.schema.task import Task

WITHHELD = "(held out)"
"""Stands where a text of a held-out task would."""


@dataclass(frozen=True, slots=True)
class TrialOut:
    """One trial as it may leave. When `withheld`, texts are empty and `task` holds no content."""

    row: TrialRow
    contestant: str
    suite: str
    task: Task
    withheld: bool

    @property
    def outcome(self) -> str:
        """passed, failed, partial, abstained or ungraded (with the cause `unscored` while it awaits judgement)."""
        return "ungraded" if self.row.score is None else self.row.score.outcome.name.lower()

    @property
    def value(self) -> float | None:
        """The score in [0, 1], None without one."""
        score = self.row.score
        return None if score is None or score.outcome is Outcome.UNGRADED else score.value

    @property
    def asked(self) -> str:
        """What the task says, its messages joined."""
        given = self.task.input
        return given if isinstance(given, str) else "\n\n".join(f"{m.role}: {text_of(m)}" for m in given)

    @property
    def targets(self) -> tuple[str, ...]:
        """The right answers, none when the task states none."""
        target = self.task.target
        return ((target,) if target else ()) if isinstance(target, str) else target

    @property
    def reply(self) -> Reply:
        """The answer (an empty one when withheld, or when there is none)."""
        return Reply() if self.withheld or self.row.reply is None else self.row.reply

    @property
    def extracted(self) -> str:
        """The answer as the scorer read it."""
        return "" if self.withheld or self.row.score is None else self.row.score.extracted

    @property
    def explanation(self) -> str:
        """Why it was judged so."""
        return "" if self.withheld or self.row.score is None else self.row.score.explanation


def condition_names(ledger: Ledger, run: str) -> tuple[str, ...]:
    """The names of all conditions of a run's tasks, sorted."""
    kept = ledger.suites(ledger.find(run).run)
    return tuple(sorted({name for s in kept for i in range(len(s)) for name in s.task(i).conditions}))


def trials_out(
    ledger: Ledger, run: str, where: Mapping[str, object] | None = None, *, reveal: bool = False
) -> Iterator[TrialOut]:
    """The trials of a run in order, streamed. `reveal` lets held-out content through: note that before you ask."""
    info = ledger.find(run)
    kept = ledger.suites(info.run)
    names = [u.name or s.header.name for u, s in zip(ledger.plan(info.run).suites, kept, strict=True)]
    starts = [0, *accumulate(len(s) for s in kept)]
    for row in ledger.trials(info.run, where):
        i = next(i for i, stop in enumerate(starts[1:]) if row.t < stop)
        task = kept[i].task(row.t - starts[i])
        withheld = task.split == "held_out" and not reveal
        if withheld:
            task = Task(id=task.id, split="held_out", cluster=task.cluster, conditions=task.conditions)
        yield TrialOut(row, info.contestants[row.c], names[i], task, withheld)
