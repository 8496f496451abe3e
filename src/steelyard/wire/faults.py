"""The one table of faults at the wire: what happened -> who ended it, whether to send again, whether it was paid.

`docs/reference/faults.md` is generated from `TABLE`; a test holds them equal. `paid` is what may be assumed of the
bill: False (the provider did no work), None (cannot be known; the caller keeps its reservation).
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from steelyard.errors import EndedBy, Fault

_MOST_SECONDS = 86_400.0


class Rule(NamedTuple):
    """One row: `when` is the sentence of the reference page."""

    ended_by: EndedBy
    retryable: bool
    paid: bool | None
    when: str


_P, _O = EndedBy.PROVIDER, EndedBy.OPERATOR

TABLE: dict[str, Rule] = {
    # nothing was sent
    "dns": Rule(_P, True, False, "the host name does not resolve"),
    "refused": Rule(_P, True, False, "the connection was refused, or the host cannot be reached"),
    "no_sockets": Rule(
        EndedBy.US, True, False, "this machine has no more files, ports or memory for a connection"
    ),
    "connect_timeout": Rule(_P, True, False, "no connection within the connect timeout"),
    "tls": Rule(_P, True, False, "the TLS handshake broke"),
    "tls_certificate": Rule(_O, False, False, "the certificate of the server does not verify"),
    "unsupported": Rule(_O, False, False, "the dialect cannot say what the request asks for"),
    # sent, and no whole HTTP answer
    "connection_lost": Rule(
        _P, True, None, "closed after the request was sent, before any byte of the answer"
    ),
    "timeout_first_byte": Rule(
        _P, True, None, "the whole-request timeout passed before any byte of the answer"
    ),
    "timeout_body": Rule(_P, True, None, "the whole-request timeout passed in the middle of the answer"),
    "broken_body": Rule(
        _P, True, None, "closed in the middle of the answer, or shorter than its Content-Length"
    ),
    "bad_http": Rule(_P, True, None, "what came is not HTTP/1.1, or its content coding is broken"),
    "too_large": Rule(_P, False, None, "head or body of the answer is over the limit"),
    # a whole HTTP answer that is no reply
    "empty_body": Rule(_P, True, None, "2xx without a body"),
    "not_json": Rule(_P, True, None, "HTML or other text instead of JSON"),
    "bad_json": Rule(_P, True, None, "JSON that is cut or malformed, in a body or in an event"),
    "bad_encoding": Rule(_P, True, None, "the body is not UTF-8"),
    "bad_shape": Rule(_P, True, None, "JSON that is not a reply of this dialect"),
    "empty_choices": Rule(_P, True, None, "a reply without any choice or output"),
    "error_body": Rule(_P, True, None, "2xx with an error object that names no status known here"),
    "error_event": Rule(_P, True, None, "an error inside a stream that names no status known here"),
    "stream_unfinished": Rule(_P, True, None, "the stream ended cleanly but without its finish marker"),
    # statuses (the same words inside a 2xx body or an event count alike)
    "redirect": Rule(_O, False, False, "3xx: never followed, so that no credential goes elsewhere"),
    "bad_request": Rule(_O, False, False, "400, 422: the provider does not accept the request"),
    "context_length": Rule(
        EndedBy.BUDGET, False, False, "400, 413 that says that the input is too long for the model"
    ),
    "content_policy": Rule(
        EndedBy.REFUSAL, False, None, "400, 403 that says that a content policy refused the input"
    ),
    "auth": Rule(_O, False, False, "401, 403: the key is missing, wrong or not allowed"),
    "quota": Rule(_O, False, False, "402, or 429 that says that the quota or the credit is used up"),
    "not_found": Rule(_O, False, False, "404: no such model or path"),
    "request_too_large": Rule(_O, False, False, "413: the request is too large"),
    "rejected": Rule(_O, False, False, "any other 4xx"),
    "request_timeout": Rule(_P, True, None, "408"),
    "conflict": Rule(_P, True, False, "409"),
    "rate_limited": Rule(_P, True, False, "429"),
    "server_error": Rule(_P, True, None, "5xx"),
    "overloaded": Rule(_P, True, False, "503, 529"),
}
"""Kind -> rule. Kinds are stable names: they reach the ledger."""


def fault(kind: str, message: str, *, retry_after: float | None = None) -> Fault:
    """A Fault by the table. KeyError for a kind that the table does not have."""
    rule = TABLE[kind]
    return Fault(
        message,
        ended_by=rule.ended_by,
        kind=kind,
        retryable=rule.retryable,
        retry_after=retry_after if rule.retryable else None,
        paid=rule.paid,
    )


_BY_STATUS = {
    400: "bad_request",
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    408: "request_timeout",
    409: "conflict",
    413: "request_too_large",
    422: "bad_request",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}

# Error codes and types of the providers, lower case, by the kind that they mean.
_BY_CODE = {
    "context_length_exceeded": "context_length",
    "string_above_max_length": "context_length",
    "content_filter": "content_policy",
    "content_policy_violation": "content_policy",
    "responsibleaipolicyviolation": "content_policy",
    "moderation_blocked": "content_policy",
    "invalid_prompt": "content_policy",
    "insufficient_quota": "quota",
    "billing_error": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "permission_error": "auth",
    "permission_denied": "auth",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "rate_limit_reached": "rate_limited",
    "tokens": "rate_limited",
    "requests": "rate_limited",
    "overloaded_error": "overloaded",
    "engine_overloaded": "overloaded",
    "service_unavailable": "overloaded",
    "server_error": "server_error",
    "api_error": "server_error",
    "internal_server_error": "server_error",
    "internal_error": "server_error",
    "timeout_error": "request_timeout",
    "request_too_large": "request_too_large",
    "invalid_request_error": "bad_request",
}

# Words of compatible servers that give no code (vLLM, llama.cpp, Anthropic, Gemini), only trusted on 4xx.
# Patterns stay text, so that importing this compiles none of them; `re` keeps the compiled ones.
_LONG = (
    r"(?i)context[ _](length|window|size)|maximum context|prompt is too long|input is too long|too many tokens"
    r"|exceeds? the (available |model'?s? )?(maximum )?(context|token)|max_model_len"
)
_POLICY = (
    r"(?i)content[ _](management )?(policy|filter)|usage polic|safety system"
    r"|flagged (as|for) |flagged by .{0,20}moderation"
)
_QUOTA = (
    r"(?i)insufficient[ _](quota|credit|balance|funds)|exceeded your current quota|credit balance is too low"
    r"|billing (hard )?limit|out of credits"
)
_REFINABLE = {"bad_request", "request_too_large", "rejected", "auth", "rate_limited", "quota"}


def kind_of_status(status: int) -> str:
    """The kind of a bare status that is not 2xx."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return "redirect"
    if 400 <= status < 500:
        return "rejected"
    return "server_error" if 500 <= status < 600 else "bad_http"


def kind_of_error(status: int, codes: tuple[str, ...], message: str, *, otherwise: str = "error_body") -> str:
    """The kind of an error object. `status` is that of HTTP, or the one in the object, or 0 when there is none.

    A code may refine a status, but never turn a 4xx that is final into one that is sent again, nor a 5xx into
    the operator's fault: the status is the provider's own word about who is to blame.
    """
    base = kind_of_status(status) if status >= 300 else ""
    named = next((_BY_CODE[c.lower()] for c in codes if c.lower() in _BY_CODE), "")
    if base and base not in _REFINABLE:
        return base
    if base in ("", "rate_limited") and (named == "quota" or re.search(_QUOTA, message)):
        return "quota"
    if base == "rate_limited":
        return base
    if base == "bad_request" and re.search(_QUOTA, message):
        return "quota"
    for kind, words in (("context_length", _LONG), ("content_policy", _POLICY)):
        if named == kind or (base and base != "quota" and re.search(words, message)):
            return kind
    if base:
        return named if named and not TABLE[named].retryable else base
    return named or otherwise


_DURATION = r"(\d+(?:\.\d+)?)(ms|s|m|h|d)"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def retry_after(headers: dict[str, str]) -> float | None:
    """Seconds that the provider asks to wait, or None. Header names in lower case.

    Reads `retry-after-ms`, `retry-after` (seconds or HTTP date) and, without these, the resets of rate limits
    that are used up. Dates count from the answer's own `date` header, so that skewed clocks do no harm (the
    transport puts in the time here when there is none). Never negative, at most a day.
    """
    ms = _number(headers.get("retry-after-ms", ""))
    if ms is not None:
        return _bounded(ms / 1000)
    now = _epoch(headers.get("date", ""))
    value = headers.get("retry-after", "").strip()
    if value:
        seconds = _number(value)
        if seconds is None:
            then = _epoch(value)
            seconds = None if then is None or now is None else then - now
        if seconds is not None:
            return _bounded(seconds)
    resets = []
    for name, text in headers.items():
        if "ratelimit" in name and "reset" in name:
            seconds = _reset(text.strip(), now)
            if seconds is not None:
                used_up = headers.get(name.replace("reset", "remaining"), "").strip() in ("0", "0.0")
                resets.append((used_up, _bounded(seconds)))
    waits = [s for used_up, s in resets if used_up]
    if waits:
        return max(waits)
    return min((s for _, s in resets), default=None)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _MOST_SECONDS)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _epoch(text: str) -> float | None:
    """Unix time of an HTTP or RFC 3339 date."""
    text = text.strip()
    try:
        if text[:4].isdigit():
            # lazy: only for the dates of Anthropic's rate limits
            from datetime import UTC, datetime

            when = datetime.fromisoformat(text)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        # lazy: only for dates, and it costs 5 ms of the start
        from email.utils import parsedate_to_datetime

        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return None


def _reset(text: str, now: float | None) -> float | None:
    """Seconds until a reset given as seconds, `1m30s`, Unix time (seconds or milliseconds) or a date."""
    value = _number(text)
    if value is not None:
        if value < 1e8:
            return value
        if now is None:
            return None
        return (value / 1000 if value > 1e11 else value) - now
    parts = re.findall(_DURATION, text)
    if parts and "".join(n + u for n, u in parts) == text:
        return float(sum(float(n) * _SECONDS[u] for n, u in parts))
    then = _epoch(text)
    return None if then is None or now is None else then - now


_KEY_LIKE = (
    r"(?i:\b(?:bearer|basic)\s+)[\w.~+/=*-]{4,}|\b(?:sk|pk|rk|xai|gsk|key)[-_][\w*.…-]{6,}|\bAIza[\w-]{10,}"
)
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+"


def clean(text: str, secrets: tuple[str, ...] = (), limit: int = 500) -> str:
    """One line of error text: secrets and what looks like a key replaced, control characters gone, capped."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    text = re.sub(_CONTROL, " ", re.sub(_KEY_LIKE, "[key]", text)).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def reference() -> str:
    """The reference page `docs/reference/faults.md`."""
    words = {True: "yes", False: "no", None: "unknown"}
    rows = [
        f"| `{kind}` | {rule.when} | {rule.ended_by} | {words[rule.retryable]} | {words[rule.paid]} |"
        for kind, rule in TABLE.items()
    ]
    return _PAGE + "\n".join(rows) + "\n"


_PAGE = """# Faults at the wire

Each call ends in a reply or in one of these. The table is made from `steelyard.wire.faults.TABLE`; a test holds the
page equal to it.

- **ended by**: who is to blame. Only `budget` and `refusal` here are measurements; the rest never counts as a wrong
  answer.
- **sent again**: whether the runner may send the same request again, up to the plan's `retry.attempts`. Nothing is
  ever sent again by the transport itself.
- **paid**: whether a provider may ask for money. *Unknown* keeps the money reserved.

A status outside the table counts by its hundred: other 4xx are `rejected`, other 5xx `server_error`. An error object
inside a 2xx answer or inside a stream counts as the status or the code that it names. A code or the words of a
message can make a 400, 403 or 413 a `context_length` or a `content_policy`, and a 400 or 429 a `quota`; nothing turns
a 4xx that is final into one that is sent again.

How long to wait is read from `retry-after-ms`, `retry-after` (seconds or a date, counted from the answer's own
`date`, else from the time here), and without these from the resets of rate limits (`x-ratelimit-reset-*`,
`anthropic-ratelimit-*-reset`) that are used up. It is at most a day.

A stream that breaks after its finish marker (a `finish_reason`, a `stop_reason`, `response.completed`) is a reply:
nothing of the answer is missing. Its usage may be, and is unknown then.

Error texts are cut to 500 characters, control characters are taken out, and the key of the endpoint, `Bearer ...`
and what looks like a key (`sk-...`) are replaced by `[key]`.

| kind | when | ended by | sent again | paid |
|---|---|---|---|---|
"""
