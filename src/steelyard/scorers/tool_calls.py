"""The reply's tool calls are the expected ones: names, arguments, order, nothing besides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from steelyard.schema.message import ToolCall
from steelyard.schema.score import Score, ungraded
from steelyard.scorers import jsontext
from steelyard.scorers.base import Item
from steelyard.scorers.common import Options, TextScorer, of_value
from steelyard.scorers.outcomes import Kind, Situation, before, score_of


class ToolCallOptions(Options, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """`expected` names the task's field with the calls (a list of name and arguments); without it the target's JSON.

    `arguments` must be `equal`, hold a `subset` of what was called, or are ignored. `order` is `strict` or `any`.
    `extra` calls are forbidden or allowed. `partial` gives the share of matched calls instead of all or nothing.
    `trajectory` counts the calls of all assistant messages after the last user message, and of the reply.
    """

    expected: str = "tool_calls"
    arguments: Literal["equal", "subset", "ignore"] = "equal"
    order: Literal["strict", "any"] = "strict"
    extra: Literal["forbid", "allow"] = "forbid"
    partial: bool = False
    trajectory: bool = False


class BadCallsError(Exception):
    """A task's expected calls are missing or cannot be understood."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call: `arguments` None when they were no JSON object."""

    name: str
    arguments: dict[str, object] | None


class ToolCalls(TextScorer):
    """See `ToolCallOptions`. Arguments that are no JSON object are a format failure."""

    kind: ClassVar[Kind] = "structure"
    needs_target = False

    def __init__(self, options: ToolCallOptions, base_dir: Path | None = None) -> None:
        super().__init__(options, base_dir)
        self._o = options

    def check(self, item: Item) -> str:
        """The expected calls must be there and readable."""
        try:
            self._expected(item)
        except BadCallsError as e:
            return str(e)
        return ""

    def score(self, item: Item) -> Score:
        """Compare the calls; the text beside them does not count."""
        done = before(item, self.kind)
        if done is not None:
            return done
        try:
            expected = self._expected(item)
        except BadCallsError as e:
            return ungraded("no_target", str(e))
        got = [_call(c) for c in self._calls(item)]
        broken = next((c.name for c in got if c.arguments is None), "")
        if broken and self._o.arguments != "ignore":
            unread = score_of(Situation.UNPARSABLE, self.kind, f"arguments of {broken} are no JSON object")
            if unread is not None:
                return unread
        pairs = self._strict(expected, got) if self._o.order == "strict" else self._any(expected, got)
        extra = len(got) - pairs if self._o.extra == "forbid" else 0
        whole = pairs == len(expected) and extra == 0
        value = float(whole)
        if self._o.partial and not whole:
            value = pairs / max(len(expected) + extra, 1)
        said = f"{pairs} of {len(expected)} calls matched" + (f", {extra} besides" if extra else "")
        names = ", ".join(c.name for c in got)
        return of_value(value, extracted=names, explanation="" if whole else said)

    def _calls(self, item: Item) -> tuple[ToolCall, ...]:
        if not self._o.trajectory:
            return item.reply.tool_calls
        start = max((i for i, m in enumerate(item.messages) if m.role == "user"), default=-1) + 1
        earlier = [c for m in item.messages[start:] if m.role == "assistant" for c in m.tool_calls]
        return (*earlier, *item.reply.tool_calls)

    def _expected(self, item: Item) -> list[Call]:
        value = item.task.fields.get(self._o.expected)
        if value is None:
            target = item.task.target
            if not target:
                raise BadCallsError(f"no field `{self._o.expected}` and no target with the expected calls")
            value = target if isinstance(target, str) else target[0]
        if isinstance(value, str):
            try:
                value = jsontext.whole(value)
            except ValueError as e:
                raise BadCallsError(f"the target is no JSON list of calls ({e})") from None
        if not isinstance(value, list):
            raise BadCallsError("the expected calls are no list")
        return [_expected_call(v, i) for i, v in enumerate(value)]

    def _fits(self, want: Call, got: Call) -> bool:
        if want.name != got.name:
            return False
        if self._o.arguments == "ignore":
            return True
        if self._o.arguments == "subset":
            return jsontext.contains(got.arguments, want.arguments)
        return jsontext.equal(got.arguments, want.arguments)

    def _strict(self, expected: list[Call], got: list[Call]) -> int:
        """The longest common subsequence: calls that match in order."""
        row = [0] * (len(got) + 1)
        for want in expected:
            above = row
            row = [0]
            for j, have in enumerate(got):
                best = above[j] + 1 if self._fits(want, have) else 0
                row.append(max(best, above[j + 1], row[j]))
        return row[-1]

    def _any(self, expected: list[Call], got: list[Call]) -> int:
        """The most expected calls that can each have a call of their own (augmenting paths, Kuhn 1955)."""
        owner: dict[int, int] = {}

        def place(i: int, seen: set[int]) -> bool:
            for j, have in enumerate(got):
                if j in seen or not self._fits(expected[i], have):
                    continue
                seen.add(j)
                if j not in owner or place(owner[j], seen):
                    owner[j] = i
                    return True
            return False

        return sum(place(i, set()) for i in range(min(len(expected), 500)))


def _call(call: ToolCall) -> Call:
    try:
        arguments = jsontext.whole(call.arguments or "{}")
    except ValueError:
        arguments = None
    return Call(call.name, arguments if isinstance(arguments, dict) else None)


def _expected_call(value: object, i: int) -> Call:
    inner = value.get("function", value) if isinstance(value, dict) else None
    inner = {"name": inner} if isinstance(inner, str) else inner
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise BadCallsError(f"the expected call {i + 1} has no `name`")
    arguments = inner.get("arguments", {})
    if isinstance(arguments, str):
        arguments = _call(ToolCall("", "", arguments)).arguments
    if not isinstance(arguments, dict):
        raise BadCallsError(f"the arguments of the expected call {i + 1} are no object")
    return Call(inner["name"], arguments)
