"""A value made wrong, for tripwires."""

from __future__ import annotations

import math
from typing import Any


def other(x: Any, salt: int) -> Any:
    """A value like `x` that is not equal to it; something equal to nothing where the type is not plain."""
    kind = type(x)
    if kind is bool:
        return not x
    if kind is int:
        return x + 1 + salt % 7
    if kind is float:
        return x * 1.5 + 1.25 + salt % 7 if math.isfinite(x) and abs(x) < 1e300 else 0.5
    if kind is str:
        return x + chr(97 + salt % 26)
    if kind is bytes:
        return x + bytes([97 + salt % 26])
    if kind is list:
        return [*x, salt]
    if kind is tuple:
        return (*x, salt)
    if kind in (set, frozenset):
        return x | {f"turned-{salt}"}
    if kind is dict:
        return {**x, f"turned-{salt}": salt}
    if type(x).__module__ == "_pytest.python_api":  # approx
        inner = getattr(x, "expected", None)
        if type(inner) in (int, float, list, tuple, dict):
            return kind(other(inner, salt), rel=x.rel, abs=x.abs, nan_ok=x.nan_ok)
    return object()
