"""Requests and replies as OpenTelemetry GenAI attributes. The only place that knows these names.

The conventions are "development" and have moved to a repository of their own (semantic-conventions-genai): when
they change, this file and `VERSION` do, and what was written says by which version it was written.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from steelyard.errors import Fault
from steelyard.schema.message import AudioPart, ImagePart, Message
from steelyard.schema.reply import Reply
from steelyard.wire.base import Endpoint, Request

VERSION = "2026-11"
"""Our version of this mapping (the state of the conventions that it follows); written as `steelyard.otel.version`."""

Attributes = dict[str, object]
_PROVIDERS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
_PROVIDERS |= {
    "api.mistral.ai": "mistral_ai",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.x.ai": "x_ai",
}
_PROVIDERS |= {"api.cohere.com": "cohere", "api.perplexity.ai": "perplexity"}


def request_attributes(
    request: Request, endpoint: Endpoint | None = None, *, content: bool = False
) -> Attributes:
    """Attributes of a call. Messages only when `content`: they may hold what must not leave."""
    s = request.sampling
    out: Attributes = {
        "steelyard.otel.version": VERSION,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": request.model,
        "gen_ai.request.stream": request.stream,
        "gen_ai.request.max_tokens": s.max_tokens,
        "gen_ai.request.temperature": s.temperature,
        "gen_ai.request.top_p": s.top_p,
        "gen_ai.request.stop_sequences": list(s.stop) or None,
        "gen_ai.request.seed": request.seed if s.send_seed else None,
    }
    if endpoint is not None:
        parts = urlsplit(endpoint.base_url)
        family = "anthropic" if endpoint.dialect == "anthropic-messages" else "openai"
        out["gen_ai.provider.name"] = _PROVIDERS.get(parts.hostname or "", family)
        out["server.address"] = parts.hostname
        out["server.port"] = parts.port or (443 if parts.scheme == "https" else 80)
    if content:
        system = [m for m in request.messages if m.role == "system"]
        out["gen_ai.system_instructions"] = [p for m in system for p in _parts(m)] or None
        out["gen_ai.input.messages"] = [_message(m) for m in request.messages if m.role != "system"]
        out["gen_ai.tool.definitions"] = [
            {"type": "function", "name": t.name, "description": t.description, "parameters": t.parameters}
            for t in request.tools
        ] or None
    return _known(out)


def reply_attributes(reply: Reply, *, content: bool = False) -> Attributes:
    """Attributes of a reply. Counts that the provider did not report are absent, never 0."""
    u, t = reply.usage, reply.timing
    out: Attributes = {
        "gen_ai.response.id": reply.response_id or None,
        "gen_ai.response.model": reply.model or None,
        "gen_ai.response.finish_reasons": [reply.finish_raw or reply.finish],
        "gen_ai.usage.input_tokens": u.input_tokens,
        "gen_ai.usage.output_tokens": u.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": u.cached_input_tokens,
        "gen_ai.usage.cache_creation.input_tokens": u.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": u.reasoning_tokens,
        "openai.response.system_fingerprint": reply.system_fingerprint or None,
    }
    if t is not None and t.first_token_ns is not None:
        out["gen_ai.response.time_to_first_chunk"] = t.first_token_ns / 1e9
    if content:
        said = Message("assistant", reply.text, reply.tool_calls, reasoning=reply.reasoning)
        out["gen_ai.output.messages"] = [
            {**_message(said), "finish_reason": reply.finish_raw or reply.finish}
        ]
    return _known(out)


def fault_attributes(broken: Fault) -> Attributes:
    """Attributes of a call that gave no reply."""
    return {"error.type": broken.kind, "steelyard.ended_by": str(broken.ended_by)}


def _known(attributes: Attributes) -> Attributes:
    return {k: v for k, v in attributes.items() if v is not None}


def _message(m: Message) -> dict[str, object]:
    return {"role": m.role, "parts": _parts(m)}


def _parts(m: Message) -> list[dict[str, object]]:
    out: list[dict[str, object]] = [{"type": "reasoning", "content": m.reasoning}] if m.reasoning else []
    if m.role == "tool":
        said = m.content if isinstance(m.content, str) else [_part(p) for p in m.content]
        return [{"type": "tool_call_response", "id": m.tool_call_id, "response": said}]
    if isinstance(m.content, str):
        out += [{"type": "text", "content": m.content}] if m.content else []
    else:
        out += [_part(p) for p in m.content]
    out += [{"type": "tool_call", "id": c.id, "name": c.name, "arguments": c.arguments} for c in m.tool_calls]
    return out


def _part(part: object) -> dict[str, object]:
    if isinstance(part, ImagePart):
        if part.url:
            return {"type": "uri", "modality": "image", "uri": part.url}
        return {"type": "blob", "modality": "image", "mime_type": part.media_type, "content": part.data}
    if isinstance(part, AudioPart):
        return {"type": "blob", "modality": "audio", "mime_type": part.media_type, "content": part.data}
    return {"type": "text", "content": getattr(part, "text", "")}
