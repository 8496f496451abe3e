"""A request's body as the provider gets it: the contestant's model, a bounded output, and no way round the sandbox.

Everything else of the body passes as the agent wrote it; a body in which nothing is changed passes byte by byte.
No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from steelyard.schema.contestant import Sampling
from steelyard.wire.asked import bad, request_object
from steelyard.wire.faults import fault
from steelyard.wire.values import Json, count, encode, is_reasoner, items, obj, text

_OUTPUT = {
    "openai-chat": ("max_completion_tokens", "max_tokens"),
    "openai-responses": ("max_output_tokens",),
    "anthropic-messages": ("max_tokens",),
    "gemini": ("maxOutputTokens",),
}
ESCAPES: dict[str, tuple[str, ...]] = {
    "openai-chat": ("models", "plugins", "route", "service_tier", "web_search_options"),
    "openai-responses": ("service_tier",),
    "gemini": ("cachedContent",),
    "anthropic-messages": ("container", "mcp_servers", "service_tier", "speed"),
}
"""Fields that would let the provider fetch, run tools of its own, take another model or another price: taken out."""
KEPT_OUTSIDE: dict[str, tuple[str, ...]] = {
    "openai-chat": (),
    "openai-responses": ("background", "conversation", "previous_response_id", "prompt"),
    "anthropic-messages": (),
    "gemini": (),
}
"""Fields that continue what the provider keeps, beyond this trial and beyond any bound of a call: refused."""
_RUN_INSIDE = {
    "openai-chat": ("function", "custom"),
    "openai-responses": ("function", "custom", "local_shell", "apply_patch", "namespace", "computer"),
    "anthropic-messages": ("custom", "bash_", "text_editor_", "computer_", "memory_", "tool_search_tool_"),
    "gemini": ("functionDeclarations",),
}
"""Types of tools that the agent runs itself, or how they start (a search among the given tools reaches nothing either).
All others are run by the provider, with a network."""
MOST_OBJECTS = 200_000
"""In one body. What is above is no conversation, but work for us."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every call: the model, sampling of the plan (None: the agent's own), whether tools that the
    provider runs may be used, and the output when the agent names none."""

    model: str
    sampling: Sampling = field(default_factory=Sampling)
    hosted_tools: bool = False
    default_output: int = 8192


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that the agent asked for. `output` is the most tokens of one choice, `choices` how many; `removed` what
    was taken out; `usage_added` that the stream reports usage though the agent did not ask."""

    dialect: str
    original: bytes
    value: Json
    model: str
    stream: bool
    output: int
    choices: int
    removed: tuple[str, ...]
    usage_added: bool
    changed: bool

    def body(self, output: int) -> bytes:
        """The body to send, its output bounded by `output` tokens."""
        value, changed = dict(self.value), self.changed
        names = [n for n in _OUTPUT[self.dialect] if value.get(n) is not None]
        for name in names:
            if value[name] != output:
                value[name], changed = output, True
        if not names:
            value[_output_name(self.dialect, text(value.get("model")))] = output
            changed = True
        thinking = obj(value.get("thinking"))
        spare = count(thinking.get("budget_tokens"))
        if spare is not None and spare >= output:
            value["thinking"] = {**thinking, "budget_tokens": max(1, output - 1)}
            changed = True
        return encode(value) if changed else self.original


def _output_name(dialect: str, model: str) -> str:
    names = _OUTPUT[dialect]
    return names[0] if len(names) == 1 or is_reasoner(model) else names[1]


def sound(body: bytes) -> Json:
    """The JSON object of a body, all of whose text can be said again: half a surrogate pair cannot. Raises Fault
    `bad_request` or `request_too_large`."""
    if body.count(b"{") > MOST_OBJECTS:
        raise fault("request_too_large", f"the body of the request holds more than {MOST_OBJECTS} objects")
    value = dict(request_object(body))
    try:
        msgspec.json.encode(value)  # `encode` would mend it, and the trace would not say what was sent
    except (ValueError, OverflowError, RecursionError) as e:
        raise bad(f"the body of the request holds what is no text: {str(e)[:100]}") from None
    return value


def read(dialect: str, body: bytes, rules: Rules) -> Asked:
    """The call that `body` asks for. Raises Fault `bad_request`, with a message for the agent."""
    value = sound(body)
    for name in KEPT_OUTSIDE[dialect]:
        if value.get(name) not in (None, False):
            raise bad(
                f"`{name}` is not available here: each call must carry its own input; nothing is kept between calls"
            )
    before = dict(value)
    removed = [name for name in ESCAPES[dialect] if value.pop(name, None) is not None]
    if not rules.hosted_tools:
        removed += _without_hosted_tools(dialect, value)
    model = text(value.get("model"))
    value["model"] = rules.model
    _sample(dialect, value, rules.sampling)
    stream = value.get("stream") is True
    usage_added = False
    if dialect == "openai-chat" and stream:
        options = obj(value.get("stream_options"))
        if options.get("include_usage") is not True:
            value["stream_options"] = {**options, "include_usage": True}
            usage_added = True
    limited = obj(value.get("generationConfig")) if dialect == "gemini" else value
    asked = [n for n in (count(limited.get(name)) for name in _OUTPUT[dialect]) if n is not None]
    most = rules.sampling.max_tokens
    output = min(asked) if asked else most or rules.default_output
    choices = 1
    if dialect == "openai-chat":
        choices = max(1, count(value.get("n")) or 1, count(value.get("best_of")) or 1)
    return Asked(
        dialect=dialect,
        original=body,
        value=value,
        model=model,
        stream=stream,
        output=max(1, min(output, most) if most else output),
        choices=choices,
        removed=tuple(removed),
        usage_added=usage_added,
        changed=value != before,
    )


def _without_hosted_tools(dialect: str, value: Json) -> list[str]:
    tools = items(value.get("tools"))
    kept, removed = [], []
    for tool in tools:
        kind = text(obj(tool).get("type")) or ("" if dialect != "gemini" else next(iter(obj(tool)), ""))
        inside = kind.startswith(_RUN_INSIDE[dialect]) or (not kind and dialect == "anthropic-messages")
        if inside:
            kept.append(tool)
        else:
            removed.append(f"tool {kind or 'without a type'}")
    if removed:
        value["tools"] = kept
        if not kept:
            del value["tools"]
            value.pop("tool_choice", None)
    return removed


def _sample(dialect: str, value: Json, sampling: Sampling) -> None:
    if dialect == "gemini":
        given = {"temperature": sampling.temperature, "topP": sampling.top_p}
        named = {k: v for k, v in given.items() if v is not None}
        value["generationConfig"] = {**obj(value.get("generationConfig")), **named}
        return
    if sampling.temperature is not None:
        value["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        value["top_p"] = sampling.top_p
    effort = sampling.reasoning_effort
    if not effort:
        return
    if dialect == "openai-chat":
        value["reasoning_effort"] = effort
    elif dialect == "openai-responses":
        value["reasoning"] = {**obj(value.get("reasoning")), "effort": effort}
    elif dialect == "anthropic-messages":
        value["output_config"] = {**obj(value.get("output_config")), "effort": effort}
