"""What a trial has used against what it may use. Counted in whole picodollars and tokens; no clock but the one given.

A call is sent only when its worst case fits, so that a limit in money or tokens is never crossed. The worst case of
the input is the smaller of two bounds: a byte is at least a token; and what the provider counted for the last call,
plus its output, plus the bytes that were added since. The second holds as long as the conversation only grew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from steelyard.schema.message import Message, TextPart, ToolSpec
from steelyard.schema.price import Price, cost_pusd, is_free, worst_case_pusd
from steelyard.schema.reply import Reply, Usage
from steelyard.unknown import is_known

A_MESSAGE, _A_CALL = 16, 64
_USEFUL = 64
"""Output tokens below which a call is not worth its price."""


class LimitReachedError(Exception):
    """A limit of the trial does not allow the next step. `which` is turns, tokens, money or seconds."""

    def __init__(self, which: str) -> None:
        super().__init__(which)
        self.which = which


def bytes_of(message: Message) -> int | None:
    """A bound of the tokens of a message; None when it holds an image or a sound, for which there is no bound."""
    total = A_MESSAGE + len(message.reasoning.encode("utf-8", "replace")) + len(message.reasoning_opaque)
    parts = (TextPart(message.content),) if isinstance(message.content, str) else message.content
    for part in parts:
        if not isinstance(part, TextPart):
            return None
        total += len(part.text.encode("utf-8", "replace"))
    return total + sum(
        len(c.arguments.encode("utf-8", "replace")) + len(c.name.encode("utf-8", "replace")) + 32
        for c in message.tool_calls
    )


@dataclass(slots=True)
class Meter:
    """Limits, and what was used. `held` is the worst case of calls whose cost never became known; it counts."""

    price: Price | None = None
    turns_most: int | None = None
    tokens_most: int | None = None
    money_most: int | None = None
    context_tokens: int | None = None
    turns: int = 0
    cost: int = 0
    held: int = 0
    unpriced: bool = False
    tokens: int = 0
    usage: dict[str, int | None] = field(default_factory=dict)

    def start_turn(self) -> None:
        """Count a turn. Raises LimitReachedError."""
        if self.turns_most is not None and self.turns >= self.turns_most:
            raise LimitReachedError("turns")
        self.turns += 1

    def input_bound(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], counted: tuple[int, int] | None = None
    ) -> int | None:
        """The most input tokens that a call can have; None without a bound (images, no `context_tokens`).

        `counted`: how many of the messages the provider has counted, and as how many tokens.
        """
        bounds = [self._bytes(messages, tools)]
        if counted is not None:
            seen, tokens = counted
            new = [bytes_of(m) for m in messages[seen:]]
            known = [n for n in new if n is not None]
            bounds.append(tokens + sum(known) + _A_CALL if len(known) == len(new) else None)
        bounds.append(self.context_tokens)
        return min((b for b in bounds if b is not None), default=None)

    def _bytes(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> int | None:
        sizes = [bytes_of(m) for m in messages]
        known = [n for n in sizes if n is not None]
        if len(known) < len(sizes):
            return None
        said = sum(
            64
            + len(repr(t.parameters).encode("utf-8", "replace"))
            + len(t.description.encode())
            + len(t.name)
            for t in tools
        )
        return sum(known) + said + _A_CALL

    def worst(self, bound: int | None, most_out: int | None) -> tuple[int | None, int | None]:
        """(picodollars, tokens) of a call at the most; None where there is no bound.

        Raises LimitReachedError when a limit does not allow it.
        """
        tokens = None if bound is None or most_out is None else bound + most_out
        if self.price is not None and is_free(self.price):
            money: int | None = 0
        else:
            worst = None if bound is None else worst_case_pusd(self.price, bound, most_out)
            money = worst if worst is not None and is_known(worst) else None
        if self.tokens_most is not None and (tokens is None or self.tokens + tokens > self.tokens_most):
            raise LimitReachedError("tokens")
        if self.money_most is not None and (money is None or self.cost + self.held + money > self.money_most):
            raise LimitReachedError("money")
        return money, tokens

    def output_room(self, bound: int | None, wanted: int | None) -> int | None:
        """`max_tokens` of the next call: what was wanted, cut to what the limits leave.

        Raises LimitReachedError when that is too little for any useful reply.
        """
        room = wanted
        for which, left in (("tokens", self._tokens_left(bound)), ("money", self._paid_for(bound))):
            if left is None:
                continue
            if left < min(_USEFUL, wanted or _USEFUL):
                raise LimitReachedError(which)
            room = left if room is None else min(room, left)
        return room

    def _tokens_left(self, bound: int | None) -> int | None:
        if self.tokens_most is None or bound is None:
            return None
        return self.tokens_most - self.tokens - bound

    def _paid_for(self, bound: int | None) -> int | None:
        """Output tokens that the money left can buy."""
        if self.money_most is None or bound is None or self.price is None or is_free(self.price):
            return None
        empty = worst_case_pusd(self.price, bound, 0)
        one = worst_case_pusd(self.price, bound, 1)
        if not is_known(empty) or not is_known(one):
            return None
        left = self.money_most - self.cost - self.held - empty
        return max(-1, left // (one - empty)) if one > empty else None

    def settle(self, reply: Reply, worst: tuple[int | None, int | None]) -> int | None:
        """A call was answered; returns its cost when that is known."""
        usage = reply.usage
        self._add(usage)
        if usage.input_tokens is not None and usage.output_tokens is not None:
            self.tokens += usage.input_tokens + usage.output_tokens
        else:
            self.tokens += worst[1] or 0
        cost = reply.reported_cost_pusd
        if cost is None:
            priced = cost_pusd(self.price, usage)
            cost = priced if is_known(priced) else None
        if cost is None:
            self.unpriced = True
            self.held += worst[0] or 0
        else:
            self.cost += cost
        return cost

    def lost(self, worst: tuple[int | None, int | None], *, paid: bool | None) -> None:
        """A call ended without a reply: unless it was surely free, its worst case counts."""
        if paid is not False:
            self.unpriced = True
            self.held += worst[0] or 0
            self.tokens += worst[1] or 0

    def _add(self, usage: Usage) -> None:
        for name in Usage.__struct_fields__:
            value = getattr(usage, name)
            before = self.usage.get(name, 0)
            # one call that did not report makes a total unknown; parts of a total are summed as far as reported
            total = name in ("input_tokens", "output_tokens")
            self.usage[name] = (
                None if total and (value is None or before is None) else (before or 0) + (value or 0)
            )

    @property
    def total(self) -> Usage:
        """The sum over all calls."""
        counts = {k: v for k, v in self.usage.items() if v or k in ("input_tokens", "output_tokens")}
        return Usage(**counts) if self.usage else Usage(0, 0)

    @property
    def cost_pusd(self) -> int | None:
        """The sum of the costs; None when one is not known."""
        return None if self.unpriced else self.cost
