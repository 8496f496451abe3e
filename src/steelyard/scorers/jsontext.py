"""JSON inside what a model says: the whole reply, a fenced block, or the objects that stand in the prose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_FENCE = re.compile(r"```[a-zA-Z0-9]{0,10}[ \t]*\n(.*?)```", re.DOTALL)
_OPEN = re.compile(r"[{\[]")
_MOST = 64


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def whole(text: str) -> object:
    """The JSON value that the text is. Raises ValueError."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def found(text: str) -> Iterator[object]:
    """Every object and list in the text, outermost, left to right; at most 64 places are tried."""
    at, tried = 0, 0
    while tried < _MOST and (match := _OPEN.search(text, at)):
        tried += 1
        try:
            value, at = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            at = match.end()
            continue
        yield value


def answer(text: str) -> object:
    """The JSON that answers: the reply itself, else its last fenced block, else the last object or list in the prose.

    Raises ValueError when there is none.
    """
    try:
        return whole(text)
    except ValueError as e:
        why = str(e)
    for block in reversed(_FENCE.findall(text)[-_MOST:]):
        try:
            return whole(block)
        except ValueError as e:
            why = str(e)
    last = [v for v in found(text) if isinstance(v, dict | list)]
    if not last:
        raise ValueError(why)
    return last[-1]


def equal(a: object, b: object) -> bool:
    """Equality as JSON has it: 1 is 1.0, and true is no number."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def contains(a: object, part: object) -> bool:
    """True when everything in `part` is in `a`: keys of objects at every depth; lists must be equal in length."""
    if isinstance(a, dict) and isinstance(part, dict):
        return all(k in a and contains(a[k], v) for k, v in part.items())
    if isinstance(a, list) and isinstance(part, list):
        return len(a) == len(part) and all(contains(x, y) for x, y in zip(a, part, strict=True))
    return equal(a, part)
