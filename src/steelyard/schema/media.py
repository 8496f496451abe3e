"""What an image or a sound is, by its first bytes: names and headers are not believed."""

from __future__ import annotations


def image_type(head: bytes) -> str:
    """The kind of an image; "" when it is none that providers take."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return ""


def sound_type(head: bytes) -> str:
    """The kind of a sound; "" when it is none that is sent."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    # an MP3 begins with a tag, or with a frame: eleven bits set, and a layer, which AAC leaves 0
    framed = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0
    if head.startswith(b"ID3") or framed:
        return "audio/mpeg"
    if head.startswith(b"fLaC"):
        return "audio/flac"
    return "audio/ogg" if head.startswith(b"OggS") else ""
