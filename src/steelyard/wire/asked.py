"""What the server sides of all dialects share: reading requests with errors that name the field, and statuses."""

from __future__ import annotations

from steelyard.errors import EndedBy, Fault
from steelyard.schema.message import ImagePart
from steelyard.wire.faults import fault
from steelyard.wire.values import Json, count, decode, raw_json, real


def request_object(body: bytes) -> Json:
    """The JSON object of a request's body. Raises Fault `bad_request`."""
    try:
        value = decode(body)
    except Fault as e:
        raise bad(f"the body of the request: {e}") from None
    if not isinstance(value, dict):
        raise bad("the body of the request: wanted a JSON object")
    return value


def bad(message: str) -> Fault:
    """A Fault for a request that cannot be read."""
    return fault("bad_request", message)


def flag(value: Json, key: str) -> bool:
    """An optional boolean. Raises Fault."""
    got = value.get(key)
    if got is not None and not isinstance(got, bool):
        raise bad(f"`{key}`: wanted true or false, got {raw_json(got)[:60]}")
    return bool(got)


def number(value: Json, key: str) -> float | None:
    """An optional number. Raises Fault."""
    got = value.get(key)
    if got is None:
        return None
    found = real(got)
    if found is None:
        raise bad(f"`{key}`: wanted a number, got {raw_json(got)[:60]}")
    return found


def whole_number(value: Json, *keys: str) -> int | None:
    """The first of these that is given, a whole number from 0 up. Raises Fault."""
    for key in keys:
        got = value.get(key)
        if got is not None:
            found = count(got)
            if found is None:
                raise bad(f"`{key}`: wanted a whole number, got {raw_json(got)[:60]}")
            return found
    return None


def seed(value: Json) -> int | None:
    """An optional seed, which may be negative. Raises Fault."""
    got = value.get("seed")
    if got is None:
        return None
    if isinstance(got, bool) or not isinstance(got, int):
        raise bad(f"`seed`: wanted a whole number, got {raw_json(got)[:60]}")
    return got


def stops(value: object) -> tuple[str, ...]:
    """Stop sequences, given as a string or an array. Raises Fault."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise bad("`stop`: wanted a string or an array of strings")


def image_of(url: str) -> ImagePart:
    """An image by URL, or by its bytes when it is a base64 data URL."""
    if url.startswith("data:"):
        head, comma, data = url[5:].partition(",")
        if comma and head.endswith(";base64"):
            return ImagePart(media_type=head[: -len(";base64")], data=data)
    return ImagePart(url=url)


# What a server says for a kind: status, type and code of the error object.
STATUS: dict[str, tuple[int, str, str | None]] = {
    "bad_request": (400, "invalid_request_error", None),
    "unsupported": (400, "invalid_request_error", "unsupported"),
    "context_length": (400, "invalid_request_error", "context_length_exceeded"),
    "content_policy": (400, "invalid_request_error", "content_policy_violation"),
    "auth": (401, "authentication_error", "invalid_api_key"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "not_found": (404, "not_found_error", "model_not_found"),
    "request_timeout": (408, "timeout_error", None),
    "conflict": (409, "conflict_error", None),
    "request_too_large": (413, "request_too_large", None),
    "rate_limited": (429, "rate_limit_error", "rate_limit_exceeded"),
    "server_error": (500, "server_error", "server_error"),
    "overloaded": (503, "overloaded_error", "service_unavailable"),
}


def status_of(broken: Fault) -> int:
    """The status that says this Fault; a fault of a further provider is a 502, any other of ours a 500."""
    if broken.kind in STATUS:
        return STATUS[broken.kind][0]
    return 502 if broken.ended_by is EndedBy.PROVIDER else 500


def openai_error(broken: Fault) -> Json:
    """OpenAI's error object for a Fault."""
    _, kind, code = STATUS.get(broken.kind, (0, "server_error", "server_error"))
    return {"message": str(broken), "type": kind, "param": None, "code": code}
