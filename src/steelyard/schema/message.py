"""Messages as every dialect can say them: text, images, sounds, tool calls, reasoning."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Role = Literal["system", "user", "assistant", "tool"]


class TextPart(Struct, frozen=True, tag="text", tag_field="type"):
    """A piece of text."""

    text: str


class ImagePart(Struct, frozen=True, tag="image", tag_field="type", omit_defaults=True):
    """An image: `data` is base64 of the bytes of `media_type`, or `url` names it (exactly one is set)."""

    media_type: str = ""
    data: str = ""
    url: str = ""


class AudioPart(Struct, frozen=True, tag="audio", tag_field="type", omit_defaults=True):
    """A sound: `data` is base64 of the bytes of `media_type`. `url` is a file's path in a suite that is not loaded yet:
    no dialect takes a sound by address."""

    media_type: str = ""
    data: str = ""
    url: str = ""


Part = TextPart | ImagePart | AudioPart


class ToolCall(Struct, frozen=True):
    """A call that a model asked for. `arguments` is the raw JSON text as it was sent, valid or not."""

    id: str
    name: str
    arguments: str


class ToolSpec(Struct, frozen=True, omit_defaults=True):
    """A tool that a model may call. `parameters` is a JSON schema object."""

    name: str
    description: str = ""
    parameters: dict[str, object] = {}


class Message(Struct, frozen=True, omit_defaults=True):
    """One message. `content` is plain text or parts; `tool_call_id` is set on tool results only.

    `reasoning` is what the model showed of its thinking; `reasoning_opaque` a signed or encrypted form that
    must be sent back unchanged in the next turn.
    """

    role: Role
    content: str | tuple[Part, ...] = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""
    reasoning: str = ""
    reasoning_opaque: str = ""


def media_of(message: Message) -> tuple[ImagePart | AudioPart, ...]:
    """The images and sounds of a message."""
    if isinstance(message.content, str):
        return ()
    return tuple(p for p in message.content if not isinstance(p, TextPart))


def media_words(parts: tuple[ImagePart | AudioPart, ...]) -> str:
    """How many images and sounds there are, in words: "2 images, 1 sound"; "" for none."""
    sounds = sum(isinstance(p, AudioPart) for p in parts)
    counts = ((len(parts) - sounds, "image"), (sounds, "sound"))
    return ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for n, word in counts if n)


def text_of(message: Message) -> str:
    """The text of a message, images and sounds left out."""
    if isinstance(message.content, str):
        return message.content
    return "".join(p.text for p in message.content if isinstance(p, TextPart))
