"""Messages and tools as people write them (OpenAI's or Anthropic's habit, or ours) to our nouns."""

from __future__ import annotations

import msgspec

from steelyard.schema.message import AudioPart, ImagePart, Message, Part, Role, TextPart, ToolCall, ToolSpec

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "tool": "tool",
}


class BadMessage(ValueError):
    """A message or a tool that cannot be understood: where inside, what was wanted, what stood there."""

    def __init__(self, path: str, wanted: str, got: object) -> None:
        self.path, self.wanted, self.got = path, wanted, repr(got)[:120]
        super().__init__(f"{path}: wanted {wanted}, got {self.got}")


def messages_of(value: object) -> tuple[Message, ...]:
    """Messages from a list of mappings with `role` and `content`. Raises BadMessage."""
    if not isinstance(value, list) or not value:
        raise BadMessage("", "a list of messages", value)
    messages = tuple(_message(m, f"[{i}]") for i, m in enumerate(value))
    if not any(m.role in ("user", "tool") for m in messages):
        raise BadMessage("", "at least one message of the user", [m.role for m in messages])
    return messages


def _message(value: object, path: str) -> Message:
    if not isinstance(value, dict):
        raise BadMessage(path, "a mapping with `role` and `content`", value)
    role = _ROLES.get(str(value.get("role", "")))
    if role is None:
        raise BadMessage(f"{path}.role", "system, user, assistant or tool", value.get("role"))
    content = value.get("content")
    calls = value.get("tool_calls") or []
    if content is None and not calls:
        raise BadMessage(f"{path}.content", "a text or a list of parts", content)
    if not isinstance(calls, list):
        raise BadMessage(f"{path}.tool_calls", "a list", calls)
    return Message(
        role=role,
        content=_content(content, f"{path}.content"),
        tool_calls=tuple(_call(c, f"{path}.tool_calls[{i}]") for i, c in enumerate(calls)),
        tool_call_id=str(value.get("tool_call_id") or ""),
        name=str(value.get("name") or ""),
    )


def _content(value: object, path: str) -> str | tuple[Part, ...]:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise BadMessage(path, "a text or a list of parts", value)
    return tuple(_part(p, f"{path}[{i}]") for i, p in enumerate(value))


def _part(value: object, path: str) -> Part:
    if isinstance(value, str):
        return TextPart(value)
    if not isinstance(value, dict):
        raise BadMessage(path, "a part with `type`", value)
    kind = value.get("type")
    if kind == "text" and isinstance(value.get("text"), str):
        return TextPart(value["text"])
    if kind == "image_url":
        inner = value.get("image_url")
        url = inner.get("url") if isinstance(inner, dict) else inner
        if isinstance(url, str) and url:
            return ImagePart(url=url)
    if kind == "image":
        source = value.get("source")
        known = source if isinstance(source, dict) else value
        url, data = known.get("url") or known.get("path") or value.get("image"), known.get("data")
        if isinstance(url, str) and url:
            return ImagePart(url=url)
        if isinstance(data, str) and data:
            return ImagePart(media_type=str(known.get("media_type") or "image/png"), data=data)
    if kind in ("audio", "input_audio"):
        found = _sound(value, kind)
        if found is not None:
            return found
    wanted = (
        "{type: text, text: ...}, {type: image, path: FILE}, {type: image_url, image_url: ...}, "
        "{type: audio, path: FILE} or {type: input_audio, input_audio: {data, format}}"
    )
    raise BadMessage(path, wanted, value)


def _sound(value: dict[object, object], kind: str) -> AudioPart | None:
    """A sound by its path, as a `data:` text, or as OpenAI writes it; None when it is none of them."""
    source = value.get(kind, value.get("source"))
    known = source if isinstance(source, dict) else value
    url = source if isinstance(source, str) else known.get("path") or known.get("url")
    data = known.get("data")
    if isinstance(url, str) and url:
        return AudioPart(url=url)
    if isinstance(data, str) and data:
        form = str(known.get("format") or "wav")
        return AudioPart(media_type=str(known.get("media_type") or f"audio/{form}"), data=data)
    return None


def _call(value: object, path: str) -> ToolCall:
    if not isinstance(value, dict):
        raise BadMessage(path, "a call with `name` and `arguments`", value)
    inner = value.get("function") if isinstance(value.get("function"), dict) else value
    name = inner.get("name") if isinstance(inner, dict) else None
    if not isinstance(name, str) or not name:
        raise BadMessage(f"{path}.name", "the name of a tool", name)
    arguments = inner.get("arguments", {}) if isinstance(inner, dict) else {}
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return ToolCall(id=str(value.get("id") or ""), name=name, arguments=text)


def tools_of(value: object) -> tuple[ToolSpec, ...]:
    """Tools from a list, flat or as `{"type": "function", "function": {...}}`. Raises BadMessage."""
    if not isinstance(value, list):
        raise BadMessage("", "a list of tools", value)
    out: list[ToolSpec] = []
    for i, item in enumerate(value):
        inner = item.get("function", item) if isinstance(item, dict) else None
        if not isinstance(inner, dict) or not isinstance(inner.get("name"), str) or not inner["name"]:
            raise BadMessage(f"[{i}]", "a tool with `name`, `description` and `parameters`", item)
        parameters = inner.get("parameters") or inner.get("input_schema") or {}
        if not isinstance(parameters, dict):
            raise BadMessage(f"[{i}].parameters", "a JSON schema object", parameters)
        if inner["name"] in [t.name for t in out]:
            raise BadMessage(f"[{i}].name", "tools with different names", inner["name"])
        out.append(ToolSpec(inner["name"], str(inner.get("description") or ""), parameters))
    return tuple(out)
