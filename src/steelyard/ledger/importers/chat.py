"""Messages of other tools as ours: OpenAI's chat form, which most use, with each one's additions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from steelyard.ledger.importers.base import Json, a_list, a_text, an_object
from steelyard.schema.message import AudioPart, ImagePart, Message, Part, Role, TextPart, ToolCall

_ROLES: Mapping[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "assistant": "assistant",
    "ai": "assistant", "model": "assistant", "agent": "assistant", "tool": "tool", "function": "tool",
}  # fmt: skip


def message_of(raw: Json) -> Message:
    """A message; a role that is not known counts as the user's, so that nothing is lost."""
    content, reasoning = content_of(raw.get("content"))
    return Message(
        role=_ROLES.get(a_text(raw.get("role")), "user"),
        content=content,
        tool_calls=tuple(_calls(a_list(raw.get("tool_calls")))),
        tool_call_id=a_text(raw.get("tool_call_id") or _first(raw.get("tool_call_ids"))),
        name=a_text(raw.get("name") or raw.get("function"))
        if raw.get("role") in ("tool", "function")
        else "",
        reasoning=reasoning or a_text(raw.get("reasoning") or raw.get("reasoning_content")),
    )


def content_of(raw: object) -> tuple[str | tuple[Part, ...], str]:
    """(content, reasoning) of a content field: a text, or a list of typed parts. Parts of other kinds become JSON."""
    if not isinstance(raw, list):
        return a_text(raw), ""
    parts: list[Part] = []
    reasoning: list[str] = []
    for item in raw:
        part = an_object(item)
        kind = part.get("type")
        if isinstance(item, str):
            parts.append(TextPart(item))
        elif kind in ("text", "input_text", "output_text"):
            parts.append(TextPart(a_text(part.get("text"))))
        elif kind in ("reasoning", "thinking"):
            reasoning.append(a_text(part.get("reasoning") or part.get("thinking")))
        elif kind in ("image", "image_url"):
            parts.append(_image(part))
        elif kind in ("audio", "input_audio"):
            parts.append(_sound(part))
        else:
            parts.append(TextPart(a_text(item)))
    texts = [p.text for p in parts if isinstance(p, TextPart)]
    return ("".join(texts) if len(texts) == len(parts) else tuple(parts)), "".join(reasoning)


def _image(part: Json) -> ImagePart:
    found = part.get("image_url") or part.get("image") or part.get("url") or part.get("path")
    url = a_text(an_object(found).get("url") if isinstance(found, dict) else found)
    head, _, data = url.partition(";base64,")
    if data and head.startswith("data:"):
        return ImagePart(media_type=head.removeprefix("data:"), data=data)
    return ImagePart(url=url)


def _sound(part: Json) -> AudioPart:
    found = part.get("input_audio") or part.get("audio")
    inner = found if isinstance(found, dict) else part
    url = a_text(found if isinstance(found, str) else inner.get("path") or inner.get("url"))
    head, _, data = url.partition(";base64,")
    if data and head.startswith("data:"):
        return AudioPart(head.removeprefix("data:"), data)
    if isinstance(inner.get("data"), str):
        form = a_text(inner.get("format")) or "wav"
        return AudioPart(f"audio/{'mpeg' if form == 'mp3' else form}", a_text(inner["data"]))
    return AudioPart(url=url)


def _calls(raw: Iterable[object]) -> Iterable[ToolCall]:
    for item in raw:
        call = an_object(item)
        function = call.get("function")
        inner = function if isinstance(function, dict) else call
        name = function if isinstance(function, str) else inner.get("name") or inner.get("function_name")
        yield ToolCall(
            a_text(call.get("id") or call.get("tool_call_id")), a_text(name), a_text(inner.get("arguments"))
        )


def _first(raw: object) -> object:
    return raw[0] if isinstance(raw, list) and raw else None
