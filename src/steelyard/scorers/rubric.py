"""A judge scores an answer by criteria, each with its points."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct, convert
from msgspec import ValidationError as BadCriteria

from steelyard.errors import PlanError
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score, ungraded
from steelyard.scorers.base import Caller, Item
from steelyard.scorers.common import of_value
from steelyard.scorers.verdict import (
    CUT,
    BaseJudge,
    JudgeOptions,
    ask,
    block,
    explained,
    nonce_of,
    points,
    reference_of,
    require,
    said,
    task_text,
    unread,
    verdicts,
)


class Criterion(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is looked at. `points` may be negative: a fault that costs. A judge may give any part of them."""

    name: str
    points: float = 1.0
    description: str = ""


class RubricOptions(JudgeOptions, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """`criteria` of every task, or `criteria_field`, the task's field that holds its own. `pass_at` makes it pass or
    fail at that share of the points; without it the share is the score."""

    criteria: tuple[Criterion, ...] = ()
    criteria_field: str = ""
    pass_at: float | None = None


class Rubric(BaseJudge):
    """The sum of points over the sum of all positive points, not below 0. Every criterion must be in the verdict."""

    prompt = (
        "{instructions}Task:\n{task}\n\n{reference}Answer to judge:\n{answer}\n{cut}\n"
        "Criteria, each with the points it can give (negative points: give them if the fault is there):\n{criteria}\n\n"
        "Reply with one JSON object and nothing else:\n"
        '{{"code": "{nonce}", "explanation": "two or three sentences", "scores": {{{names}}}}}\n'
        "with a number of points for every criterion."
    )

    def __init__(self, options: RubricOptions) -> None:
        super().__init__(options)
        self._o = options
        require(
            bool(options.criteria) != bool(options.criteria_field),
            "a rubric needs its criteria",
            "scorer.criteria",
            "`criteria` or `criteria_field`, one of them",
            self.spec,
        )
        _check(options.criteria)
        require(
            options.pass_at is None or 0 < options.pass_at <= 1,
            "a share out of range", "scorer.pass_at", "above 0, at most 1", options.pass_at,
        )  # fmt: skip

    async def judge(self, item: Item, call: Caller) -> Score:
        """Ask once, and add up. Raises Fault."""
        done = self.settled(item)
        if done is not None:
            return done
        criteria = self._o.criteria
        if self._o.criteria_field:
            try:
                criteria = convert(item.task.fields.get(self._o.criteria_field), tuple[Criterion, ...])
                _check(criteria)
            except (BadCriteria, PlanError) as e:
                return ungraded("no_target", f"the field `{self._o.criteria_field}` is no rubric: {e}"[:300])
        answer = said(item.reply)
        reference = reference_of(item.task, self._o.reference)
        nonce = nonce_of(item, answer, task_text(item), reference)
        user = self.prompt.format(
            instructions=f"{self._o.instructions}\n\n" if self._o.instructions else "",
            task=block("task", task_text(item), nonce),
            reference=f"Reference:\n{block('reference', reference, nonce)}\n\n" if reference else "",
            answer=block("answer", answer, nonce),
            cut=CUT if item.reply.finish == "length" else "",
            criteria="\n".join(f"- {c.name} ({c.points:g}): {c.description or c.name}" for c in criteria),
            nonce=nonce,
            names=", ".join(f'"{c.name}": ...' for c in criteria),
        )
        reply = await ask(call, self._o.role, user, item.seed)
        return self._read(reply, criteria, nonce)

    def _read(self, reply: Reply, criteria: Sequence[Criterion], nonce: str) -> Score:
        found = verdicts(reply, "scores", nonce)
        if not found:
            return unread(reply, "no verdict found")
        given = found[0]["scores"]
        if not isinstance(given, dict):
            return unread(reply, "`scores` is no object")
        parts = {}
        for c in criteria:
            value = points(given.get(c.name), min(0.0, c.points), max(0.0, c.points))
            if value is None:
                return unread(reply, f"no points, or impossible ones, for {c.name!r}")
            parts[c.name] = value
        total = sum(parts.values()) / sum(c.points for c in criteria if c.points > 0)
        value = min(1.0, max(0.0, total))
        why = explained(found[0])
        if self._o.pass_at is not None:
            ok = value >= self._o.pass_at - 1e-12
            outcome = Outcome.PASSED if ok else Outcome.FAILED
            return Score(outcome, float(ok), explanation=why, parts=parts)
        return of_value(value, explanation=why, parts=parts)


def _check(criteria: Sequence[Criterion]) -> None:
    names = [c.name for c in criteria]
    require(
        len(set(names)) == len(names), "a criterion stands twice", "scorer.criteria", "different names", names
    )
    for c in criteria:
        ok = math.isfinite(c.points) and c.points != 0 and c.name.strip()
        require(ok, "a criterion is wrong", "scorer.criteria", "a name, and points that are not 0", c)
    if criteria:
        positive = any(c.points > 0 for c in criteria)
        require(positive, "no criterion gives points", "scorer.criteria", "one with points above 0", names)
