"""A judge compares the answer with a reference or a baseline, in both orders.

Judges favour a position; asking in both orders cancels what is constant in that, and shows the rest: where the two
verdicts differ the result is a tie, and `parts` says so.
"""

from __future__ import annotations

from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score, ungraded
from steelyard.scorers.base import Caller, Item
from steelyard.scorers.verdict import (
    CUT,
    BaseJudge,
    JudgeOptions,
    ask,
    block,
    explained,
    nonce_of,
    reference_of,
    require,
    said,
    task_text,
    unread,
    verdicts,
)

_WINNERS = {"a": "A", "b": "B", "tie": "tie", "draw": "tie", "equal": "tie"}
_VALUE = {"first": {"A": 1.0, "B": 0.0, "tie": 0.5}, "second": {"A": 0.0, "B": 1.0, "tie": 0.5}}


class PairwiseOptions(
    JudgeOptions, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True
):
    """`reference` names the other answer: `target`, or a field of the task. `criteria` are judged one by one besides
    the whole, and kept as parts."""

    criteria: tuple[str, ...] = ()


class Pairwise(BaseJudge):
    """1 when the answer wins in both orders, 0 when it loses in both, else a tie of 0.5.

    `parts`: `first` and `second` are the values with the answer shown first and second, `disagreed` is 1 when they
    differ; each criterion has the mean of its two values.
    """

    prompt = (
        "{instructions}Task:\n{task}\n\nAnswer A:\n{a}\n{cut_a}\n\nAnswer B:\n{b}\n{cut_b}\n\n"
        "Which answer is better{by}? The order in which they are shown means nothing.\n"
        "Reply with one JSON object and nothing else:\n"
        '{{"code": "{nonce}", "explanation": "two or three sentences", {names}"winner": "A" or "B" or "tie"}}'
    )

    def __init__(self, options: PairwiseOptions) -> None:
        super().__init__(options)
        self._o = options
        self.calls = (options.role, options.role)
        require(options.reference, "nothing to compare with", "scorer.reference", "`target` or a field", "")
        different = len(set(options.criteria)) == len(options.criteria) and all(options.criteria)
        require(different, "criteria are wrong", "scorer.criteria", "different names", options.criteria)

    async def judge(self, item: Item, call: Caller) -> Score:
        """Ask in both orders, the answer first and then second. Raises Fault."""
        done = self.settled(item)
        if done is not None:
            return done
        other = reference_of(item.task, self._o.reference)
        if not other:
            return ungraded("no_target", f"nothing under `{self._o.reference}` to compare with")
        nonce = nonce_of(item, said(item.reply), task_text(item), other)
        values: dict[str, float] = {}
        criteria: dict[str, list[float]] = {}
        why = []
        for place in ("first", "second"):
            user = self._user(item, other, nonce, place)
            reply = await ask(call, self._o.role, user, item.seed if place == "first" else item.seed ^ 1)
            found = self._read(reply, nonce)
            if isinstance(found, Score):
                return found
            winner, by, explanation = found
            values[place] = _VALUE[place][winner]
            for name, won in by.items():
                criteria.setdefault(name, []).append(_VALUE[place][won])
            why.append(f"{place}: {explanation or winner}")
        return self._score(values, criteria, " | ".join(why))

    def _score(self, values: dict[str, float], criteria: dict[str, list[float]], why: str) -> Score:
        agreed = values["first"] == values["second"]
        value = values["first"] if agreed else 0.5
        outcome = {1.0: Outcome.PASSED, 0.0: Outcome.FAILED}.get(value, Outcome.PARTIAL)
        parts = {**values, "disagreed": float(not agreed)}
        parts.update((name, sum(v) / len(v)) for name, v in criteria.items() if len(v) == 2)
        return Score(outcome, value, explanation=why[:2000], parts=parts)

    def _user(self, item: Item, other: str, nonce: str, place: str) -> str:
        mine, cut = said(item.reply), CUT if item.reply.finish == "length" else ""
        a, b = (mine, other) if place == "first" else (other, mine)
        names = "".join(f'"{name}": "A" or "B" or "tie", ' for name in self._o.criteria)
        return self.prompt.format(
            instructions=f"{self._o.instructions}\n\n" if self._o.instructions else "",
            task=block("task", task_text(item), nonce),
            a=block("answer A", a, nonce),
            b=block("answer B", b, nonce),
            cut_a=cut if place == "first" else "",
            cut_b="" if place == "first" else cut,
            by=f" on the whole, and by each of: {', '.join(self._o.criteria)}" if self._o.criteria else "",
            nonce=nonce,
            names=names,
        )

    def _read(self, reply: Reply, nonce: str) -> tuple[str, dict[str, str], str] | Score:
        found = verdicts(reply, "winner", nonce)
        if found:
            winner = _WINNERS.get(str(found[0]["winner"]).strip().lower())
            if winner is None:
                return unread(reply, "a winner that is none of A, B, tie")
            by = {}
            for name in self._o.criteria:
                won = _WINNERS.get(str(found[0].get(name, "")).strip().lower())
                if won is None:
                    return unread(reply, f"no verdict for {name!r}")
                by[name] = won
            return winner, by, explained(found[0])
        return unread(reply, "no verdict found")
