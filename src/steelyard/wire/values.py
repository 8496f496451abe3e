"""What all dialects share: JSON that somebody else wrote is decoded once, what has the right type is taken.

Nothing here raises anything but `Fault`, whatever comes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import msgspec

from steelyard.errors import Fault
from steelyard.schema.message import ImagePart
from steelyard.schema.reply import TokenLogprob
from steelyard.wire.faults import clean, fault, kind_of_error

Json = dict[str, object]
NOTHING: Json = {}
JSON_HEADERS = (("content-type", "application/json"),)

_decoder = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


def encode(value: object) -> bytes:
    """JSON of plain data, in UTF-8. What others wrote and the fast encoder refuses is mended: stray halves of surrogate
    pairs become U+FFFD, whole numbers keep all digits. Raises Fault `unsupported` for what is nested too deep."""
    try:
        return _encode(value)
    except (ValueError, OverflowError, TypeError, RecursionError):
        pass
    # lazy: see decode
    import json

    try:
        return json.dumps(mended(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except RecursionError:
        raise fault("unsupported", "values nested too deep to be written as JSON") from None


def mended(value: object) -> object:
    """The same plain data as every JSON reader takes it: texts `whole`, no number that is none."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, dict):
        return {whole(str(k)): mended(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [mended(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def decode(data: bytes) -> object:
    """The value of a JSON text. Raises Fault `bad_encoding` or `bad_json`.

    What the fast parser refuses but other servers write (a lone half of a surrogate pair, NaN, a byte order
    mark) is read by the standard library.
    """
    try:
        return _decoder.decode(data)
    except (ValueError, RecursionError):
        pass
    # lazy: the start does not pay for what well-made answers never need
    import json

    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as e:
        raise fault("bad_encoding", f"wanted UTF-8, got byte {data[e.start]:#04x} at {e.start}") from None
    except (ValueError, RecursionError) as e:
        raise fault(
            "bad_json", f"wanted JSON, got {clean(_peek(data), limit=200)!r} ({clean(str(e), limit=80)})"
        ) from None


def _peek(data: bytes) -> str:
    return data[:400].decode("utf-8", "replace")


def obj(value: object) -> Json:
    """The value when it is an object, else an empty one."""
    return value if isinstance(value, dict) else NOTHING


def items(value: object) -> list[object]:
    """The value when it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """The value when it is a string, else "" (numbers are not turned into text)."""
    return value if isinstance(value, str) else ""


def count(value: object) -> int | None:
    """A token count: a whole number from 0 up, else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < 1 << 63 else None
    if isinstance(value, float) and value.is_integer() and 0 <= value < 1 << 53:
        return int(value)
    return None


def real(value: object) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def whole(text_: str) -> str:
    """Text with surrogate halves joined (a provider may cut a pair between two chunks); strays become U+FFFD."""
    try:
        text_.encode()
    except UnicodeEncodeError:
        return text_.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text_


def raw_json(value: object) -> str:
    """JSON text of an argument that a server gave as an object instead of as text."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return encode(value).decode()


def pusd(value: object) -> int | None:
    """Dollars as reported (a float) in picodollars."""
    dollars = real(value)
    return round(dollars * 1e12) if dollars is not None and 0 <= dollars < 1e6 else None


def is_error(body: Json) -> bool:
    """Is this an error object, in any of the shapes that servers use?"""
    return bool(body.get("error")) or body.get("object") == "error" or body.get("type") == "error"


def error_fault(
    status: int, body: object, *, retry_after: float | None, otherwise: str = "error_body"
) -> Fault:
    """The Fault of an error object, whichever dialect wrote it: `{"error": {...}}`, `{"error": "..."}`, a bare one."""
    outer = obj(body)
    error = outer.get("error", outer)
    if isinstance(error, str):
        codes: tuple[str, ...] = (text(outer.get("code")), text(outer.get("type")))
        message = error
    else:
        inner = obj(error)
        deeper = obj(inner.get("innererror"))
        codes = tuple(
            text(v) for v in (inner.get("code"), inner.get("type"), deeper.get("code"), inner.get("status"))
        )
        message = text(inner.get("message")) or text(outer.get("message")) or text(outer.get("detail"))
        named = inner.get("code", inner.get("status"))
        number = int(named) if isinstance(named, str) and re.fullmatch(r"\d{3}", named) else named
        if status < 300 and isinstance(number, int) and 300 <= number < 600:
            status = number
    codes = tuple(c for c in codes if c)
    kind = kind_of_error(status, codes, message, otherwise=otherwise)
    shown = clean(message or raw_json(body)[:4000], limit=4000)
    said = " ".join((f"HTTP {status}" if status >= 300 else "error in a 2xx answer", *codes[:1]))
    return fault(kind, f"{said}: {shown}" if shown else said, retry_after=retry_after)


def flags(headers: Mapping[str, str]) -> tuple[bool, bool]:
    """(is an event stream, is surely no JSON) by the content type."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "text/event-stream", kind in (
        "text/html",
        "application/xhtml+xml",
        "text/xml",
        "application/xml",
    )


def add_extra(body: Json, extra: dict[str, object]) -> None:
    """Fields of the user's own; None takes a field out."""
    for key, value in extra.items():
        if value is None:
            body.pop(key, None)
        else:
            body[key] = value


def token_logprob(value: object) -> TokenLogprob | None:
    """One entry of OpenAI's logprobs; None when it is not one."""
    entry = obj(value)
    number = real(entry.get("logprob"))
    if number is None or not isinstance(entry.get("token"), str):
        return None
    top = [
        (whole(text(t.get("token"))), real(t.get("logprob")))
        for t in map(obj, items(entry.get("top_logprobs")))
    ]
    return TokenLogprob(whole(text(entry["token"])), number, tuple([(t, p) for t, p in top if p is not None]))


def image_url(part: ImagePart) -> str:
    """The URL of an image; a data URL when the bytes are in the message."""
    return part.url or f"data:{part.media_type};base64,{part.data}"


def opaque_items(opaque: str, prefixes: tuple[str, ...]) -> list[Json]:
    """The items of an opaque reasoning that this dialect wrote; none when another dialect did."""
    try:
        value = decode(opaque.encode("utf-8", "replace"))
    except Fault:
        return []
    found = [obj(v) for v in items(value)]
    return found if found and all(text(v.get("type")).startswith(prefixes) for v in found) else []


def logprob_json(p: TokenLogprob) -> Json:
    """One entry of OpenAI's logprobs."""
    return {
        "token": p.token,
        "logprob": p.logprob,
        "bytes": list(p.token.encode()),
        "top_logprobs": [{"token": t, "logprob": v, "bytes": list(t.encode())} for t, v in p.top],
    }


def is_reasoner(model: str) -> bool:
    """Is this one of OpenAI's reasoning models, by its name? They call some settings by other names."""
    return re.search(r"(?:^|/)(?:o\d|gpt-5)", model) is not None
