"""Sounds as OpenAI's APIs say them. No I/O."""

from __future__ import annotations

import base64
import binascii
import struct

from steelyard.schema.media import sound_type
from steelyard.schema.message import AudioPart
from steelyard.wire.faults import fault
from steelyard.wire.values import Json

_FORMATS = {"audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/wave": "wav"}
_TYPES = {"mp3": "audio/mpeg"}


def input_audio(part: AudioPart) -> Json:
    """A sound as both of OpenAI's APIs take it. Raises Fault `unsupported` for one that holds no bytes."""
    if not part.data:
        raise fault("unsupported", "a sound by its address: wanted the bytes (a path beside the suite)")
    form = _FORMATS.get(part.media_type, part.media_type.partition("/")[2] or "wav")
    return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}}


def audio_of(data: str, form: str) -> AudioPart:
    """A sound as OpenAI's APIs say it: base64, and the name of its format."""
    return AudioPart(media_type=_TYPES.get(form, f"audio/{form or 'wav'}"), data=data)


def spoken(pieces: list[str]) -> AudioPart | None:
    """What a model said aloud, from the base64 pieces that came; None when nothing came, or no base64.

    OpenAI streams samples without a header (16 bits, one channel, 24 kHz): they get one, so that they can be played.
    """
    try:
        content = b"".join(base64.b64decode(p, validate=True) for p in pieces)
    except (binascii.Error, ValueError):
        return None
    if not content:
        return None
    kind = sound_type(content[:16])
    if not kind:
        kind, content = "audio/wav", _wav(content)
    return AudioPart(kind, base64.b64encode(content).decode())


def _wav(samples: bytes, rate: int = 24_000) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    body = form + struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WAVE") + body
