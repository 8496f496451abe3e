"""Unknown is a value: missing, unpriced, too few. Never 0, NaN, False or an empty string.

`Unknown` carries the reason. It has no arithmetic and no truth value, so that it cannot slip into a
mean or a condition; it prints as its reason and serialises as ``{"unknown": reason}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, TypeGuard, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A figure that cannot be given, and why (a clause a reader understands: "one observation")."""

    reason: str

    def __bool__(self) -> NoReturn:
        raise TypeError(f"Unknown has no truth value ({self.reason}); use is_known(x)")

    def __float__(self) -> NoReturn:
        raise TypeError(f"Unknown is not a number ({self.reason}); use is_known(x)")

    def __str__(self) -> str:
        return f"unknown ({self.reason})"


def is_known(value: T | Unknown) -> TypeGuard[T]:
    """True when `value` is not `Unknown`; narrows the type."""
    return not isinstance(value, Unknown)
