"""Plain values as JSON, exactly: types, special floats, shared and changed containers. Nothing else passes.

Containers that can change are numbered, so that a function that changes its argument in place, or returns
it, is seen to do so on the other side. A value of any other type raises `Foreign`.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import fractions
import pathlib
from typing import Any

_TEXT: dict[str, Any] = {
    "decimal": decimal.Decimal,
    "fraction": fractions.Fraction,
    "complex": complex,
    "path": pathlib.PurePosixPath,
}
_DATES: dict[str, Any] = {"date": dt.date, "datetime": dt.datetime, "time": dt.time}


class Foreign(TypeError):
    """A value that cannot cross."""


class Writer:
    """Encodes values; `known` are containers that the other side has, in order."""

    def __init__(self, known: list[Any] | None = None) -> None:
        self.objects: list[Any] = list(known or [])
        self.numbers = {id(o): i for i, o in enumerate(self.objects)}

    def value(self, x: Any) -> Any:
        """One value; containers become references."""
        kind = type(x)
        if x is None or kind in (bool, str, int):
            return ["n", x] if kind is not int else ["i", str(x)]
        if kind is float:
            return ["f", x.hex()]
        if kind in (list, dict, set, bytearray):
            if id(x) not in self.numbers:
                self.numbers[id(x)] = len(self.objects)
                self.objects.append(x)
            return ["#", self.numbers[id(x)]]
        if kind is bytes:
            return ["b", base64.b64encode(x).decode()]
        if kind in (tuple, frozenset):
            return [kind.__name__, [self.value(v) for v in x]]
        if kind is range:
            return ["range", [x.start, x.stop, x.step]]
        if kind is slice:
            return ["slice", [self.value(v) for v in (x.start, x.stop, x.step)]]
        return self._rare(x, kind)

    def _rare(self, x: Any, kind: type) -> Any:
        for name, wanted in _TEXT.items():
            if kind is wanted:
                return [name, repr(x)[1:-1] if kind is complex else str(x)]
        if kind in (dt.date, dt.datetime, dt.time) and getattr(x, "tzinfo", None) is None:
            return [kind.__name__, x.isoformat()]
        if kind is dt.timedelta:
            return ["timedelta", [x.days, x.seconds, x.microseconds]]
        raise Foreign(f"a value of type {kind.__module__}.{kind.__qualname__}")

    def contents(self) -> list[Any]:
        """What every container holds, in the order of their numbers; may find more while it goes."""
        out: list[Any] = []
        while len(out) < len(self.objects):
            x = self.objects[len(out)]
            if type(x) is dict:
                out.append(["dict", [[self.value(k), self.value(v)] for k, v in x.items()]])
            elif type(x) is bytearray:
                out.append(["bytearray", base64.b64encode(bytes(x)).decode()])
            else:
                out.append([type(x).__name__, [self.value(v) for v in x]])
        return out


class Reader:
    """Decodes; `known` containers are changed in place when the other side has changed them."""

    def __init__(self, contents: list[Any], known: list[Any] | None = None) -> None:
        makers = {"list": list, "dict": dict, "set": set, "bytearray": bytearray}
        self.objects: list[Any] = list(known or [])
        for kind, _ in contents[len(self.objects) :]:
            self.objects.append(makers[kind]())
        for x, (kind, raw) in zip(self.objects, contents, strict=True):
            self._fill(x, kind, raw)

    def _fill(self, x: Any, kind: str, raw: Any) -> None:
        if kind == "dict":
            new = [(self.value(k), self.value(v)) for k, v in raw]
            x.clear()
            x.update(new)
        elif kind == "list":
            x[:] = [self.value(v) for v in raw]
        elif kind == "set":
            values = [self.value(v) for v in raw]
            x.clear()
            x.update(values)
        else:
            x[:] = base64.b64decode(raw)

    def value(self, raw: Any) -> Any:
        """One value."""
        kind, x = raw
        if kind == "n":
            return x
        if kind == "i":
            return int(x)
        if kind == "f":
            return float.fromhex(x)
        if kind == "#":
            return self.objects[x]
        if kind == "b":
            return base64.b64decode(x)
        if kind in ("tuple", "frozenset"):
            values = [self.value(v) for v in x]
            return tuple(values) if kind == "tuple" else frozenset(values)
        if kind == "range":
            return range(*x)
        if kind == "slice":
            return slice(*[self.value(v) for v in x])
        if kind == "timedelta":
            return dt.timedelta(*x)
        if kind in _DATES:
            return _DATES[kind].fromisoformat(x)
        return _TEXT[kind](x)
