"""The table of faults: what statuses, codes and words mean, how long to wait, and that the reference page agrees."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import EndedBy, Fault
from steelyard.wire.base import Request
from steelyard.wire.chat import ChatDialect
from steelyard.wire.faults import TABLE, clean, fault, kind_of_status, reference, retry_after

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


def seen(status: int, body: object = None, headers: dict[str, str] | None = None) -> Fault:
    """The fault that an answer is."""
    parser = ChatDialect().parser(Request("m", ()))
    raw = [
        (k.encode(), v.encode()) for k, v in {"content-type": "application/json", **(headers or {})}.items()
    ]
    parser.head(status, raw, 0)
    parser.feed(body if isinstance(body, bytes) else json.dumps(body).encode(), 0)
    with pytest.raises(Fault) as caught:
        parser.finish(0, clean=True)
    return caught.value


def test_only_408_409_429_and_5xx_are_sent_again() -> None:
    for status in range(300, 600):
        expected = status in (408, 409, 429) or status >= 500
        assert TABLE[kind_of_status(status)].retryable is expected, status
        assert seen(status, {"error": {"message": "x"}}).retryable is expected, status
        assert seen(status, b"<html>").retryable is expected, status


def test_blame_is_the_providers_for_its_failures_and_the_operators_for_bad_settings() -> None:
    for status in (500, 502, 503, 504, 529, 429, 408, 409):
        assert seen(status, {}).ended_by is EndedBy.PROVIDER
    for status in (400, 401, 403, 404, 405, 413, 418, 422, 302):
        assert seen(status, {}).ended_by is EndedBy.OPERATOR


def error(message: str = "", code: object = None, type_: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "code": code, "type": type_}}


def claude(message: str, type_: str) -> dict[str, object]:
    return {"type": "error", "error": {"type": type_, "message": message}}


SAID = [
    # OpenAI
    (400, error("This model's maximum context length is 128000 tokens", "context_length_exceeded"), "context_length"),
    (400, error("bad", "invalid_value", "invalid_request_error"), "bad_request"),
    (400, error("flagged as potentially violating our usage policy", "invalid_prompt"), "content_policy"),
    (401, error("Incorrect API key provided: sk-abcd****wxyz.", "invalid_api_key"), "auth"),
    (404, error("The model `x` does not exist", "model_not_found"), "not_found"),
    (429, error("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), "quota"),
    (429, error("Rate limit reached for gpt on tokens per min", "rate_limit_exceeded", "tokens"), "rate_limited"),
    (500, error("The server had an error", None, "server_error"), "server_error"),
    (503, error("The engine is currently overloaded", None, "server_error"), "overloaded"),
    # Azure
    (
        400,
        {"error": {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        "content_policy",
    ),
    # Anthropic
    (400, claude("prompt is too long: 210000 tokens > 200000", "invalid_request_error"), "context_length"),
    (400, claude("Your credit balance is too low to access", "invalid_request_error"), "quota"),
    (400, claude("Output blocked by content filtering policy", "invalid_request_error"), "content_policy"),
    (529, claude("Overloaded", "overloaded_error"), "overloaded"),
    # vLLM, llama.cpp, Gemini, OpenRouter, FastAPI
    (400, {"object": "error", "message": "maximum context length is 2048", "code": 400}, "context_length"),
    (400, {"error": {"code": 400, "message": "exceeds the available context size"}}, "context_length"),
    (400, [error("API key not valid", 400, None)], "bad_request"),
    (402, error("Insufficient credits", 402), "quota"),
    (403, error("Your input was flagged by moderation", 403), "content_policy"),
    (403, error("Request blocked by the firewall", 403), "auth"),
    (422, {"detail": "field required"}, "bad_request"),
    (500, error("context length is fine, the server is not"), "server_error"),
    # the same inside a 200
    (200, error("Provider returned error", 429), "rate_limited"),
    (200, error("Provider returned error", 502), "server_error"),
    (200, error("no", "rate_limit_exceeded"), "rate_limited"),
    (200, error("something else"), "error_body"),
    (200, {"error": "model is loading"}, "error_body"),
    (200, {"choices": [{"error": {"code": 502, "message": "upstream"}, "message": {"content": ""}}]}, "server_error"),
    (200, {"choices": []}, "empty_choices"),
    (200, {"object": "list"}, "bad_shape"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind"), SAID)
def test_what_providers_really_say(status: int, body: object, kind: str) -> None:
    broken = seen(status, body)
    assert broken.kind == kind
    rule = TABLE[kind]
    assert (broken.ended_by, broken.retryable, broken.paid) == (rule.ended_by, rule.retryable, rule.paid)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "1e99"}, 86_400.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 09:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT"}, None),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0"}, 1.0),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        (
            {
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-requests": "20ms",
                "x-ratelimit-remaining-requests": "7",
            },
            360.0,
        ),
        ({"x-ratelimit-reset": "1795341612000", "date": DATE}, 12.0),
        ({"x-ratelimit-reset": "1795341612", "date": DATE}, 12.0),
        ({"x-ratelimit-reset": "15"}, 15.0),
        ({"anthropic-ratelimit-requests-reset": "2026-11-22T10:00:05Z", "date": DATE}, 5.0),
        ({"x-ratelimit-reset": "whenever"}, None),
    ],
)
def test_how_long_a_provider_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    got = retry_after(headers)
    assert got == (None if seconds is None else pytest.approx(seconds))
    assert seen(429, {}, headers).retry_after == got
    assert seen(400, {}, headers).retry_after is None, "what is not sent again has no time to wait"


@given(
    st.text(max_size=40),
    st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset"]),
    st.booleans(),
)
def test_any_header_is_a_bounded_time_or_none(text: str, name: str, dated: object) -> None:
    got = retry_after({name: text, **({"date": DATE} if dated else {})})
    assert got is None or 0.0 <= got <= 86_400.0


@given(st.text(max_size=300), st.text(min_size=6, max_size=20))
def test_cleaned_text_is_one_short_line_without_the_secret(text: str, key: str) -> None:
    shown = clean(text + key + text, (key,), limit=100)
    assert len(shown) <= 100
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in shown)
    if key not in "[key]" and key.strip() == key and key.isprintable():
        assert key not in shown.replace("[key]", "") or key in text


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-ab*****************wxyz.",
        "Authorization: Bearer abcdef123456",
        "bad key sk-ant-api03-AbCdEf-123456",
        "key AIzaSyA1234567890abcdef is not valid",
        "Basic dXNlcjpwYXNz",
    ],
)
def test_what_looks_like_a_key_is_not_shown(text: str) -> None:
    shown = clean(text)
    assert "[key]" in shown
    for part in ("wxyz", "abcdef1", "AbCdEf", "SyA123", "dXNlc"):
        assert part not in shown


def test_control_characters_of_a_provider_do_not_reach_a_terminal() -> None:
    broken = seen(500, error("\x1b]0;owned\x07 \u202eevil\r\nline \x9b31m"))
    assert all(c.isprintable() for c in str(broken))


def test_a_kind_outside_the_table_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        fault("no_such_kind", "x")


def test_the_reference_page_is_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "faults.md"
    assert page.read_text(encoding="utf-8") == reference(), (
        "write it anew: python -c 'from steelyard.wire.faults import reference; print(reference(), end=str())'"
    )
