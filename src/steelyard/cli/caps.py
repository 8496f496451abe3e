"""Caps on a command line: `--max-cost DOLLARS`, `--max-total-tokens N`, `--max-minutes M`, or `none` for no cap."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])
NONE = "none"
MOST = {"money": 1e6, "tokens": 1e15, "minutes": 1e6}


class Cap(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.2 only
    """A number from 0 up, or `none`."""

    name = "cap"

    def __init__(self, most: float, *, whole: bool = False) -> None:
        self.most, self.whole = most, whole

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | int | str:
        """The number, or "none"."""
        text = str(value).strip().lower()
        if text == NONE:
            return NONE
        try:
            number = int(text) if self.whole else float(text)
        except ValueError:
            number = -1
        if not 0 <= number <= self.most:
            kind = "a whole number" if self.whole else "a number"
            self.fail(f"wanted {kind} from 0 to {self.most:g}, or `none`; got {text!r}", param, ctx)
        return number


CapValue = float | int | str | None
"""What an option said: a number, `none`, or nothing."""


def cap_options(money: str, tokens: str, minutes: str) -> Callable[[F], F]:
    """The three options, by these names, as `money`, `total_tokens` and `minutes`."""

    def decorate(function: F) -> F:
        bound = "needs a bound of answers"
        for name, key, metavar, cap, text in (
            (minutes, "minutes", "M", Cap(MOST["minutes"]), "the run's time"),
            (tokens, "total_tokens", "N", Cap(MOST["tokens"], whole=True), f"all tokens ({bound})"),
            (money, "money", "DOLLARS", Cap(MOST["money"]), f"money ({bound}, and prices)"),
        ):
            said = f"Hard cap on {text}, or `none`."
            function = click.option(name, key, type=cap, default=None, metavar=metavar, help=said)(function)
        return function

    return decorate


def asked(money: CapValue, tokens: CapValue, minutes: CapValue) -> dict[str, object]:
    """What the options say, in the words of the control socket; `none` is None, what is not said is left out."""
    said = (("money", money), ("tokens", tokens), ("minutes", minutes))
    return {k: None if v == NONE else v for k, v in said if v is not None}


def higher(reason: str) -> str:
    """The option that raises the cap which `reason` says was reached."""
    for which, option in (
        ("money", " --max-cost DOLLARS"),
        ("tokens", " --max-total-tokens N"),
        ("time", " --max-minutes M"),
    ):
        if f"the {which} cap" in reason:
            return option
    return ""
