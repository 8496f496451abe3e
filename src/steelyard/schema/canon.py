"""Canonical encoding and content hashes: the same value always has the same name.

Canonical form is JSON with sorted keys, no spaces and no defaults omitted by accident (a struct decides with
`omit_defaults`). Hash is SHA-256 of that, as 64 hex digits. Format versions live in the structs that reach disk.
"""

from __future__ import annotations

import hashlib

import msgspec

_ENCODER = msgspec.json.Encoder(order="sorted")


def canonical(value: object) -> bytes:
    """Canonical JSON bytes of a struct or of plain data. Raises TypeError for what JSON cannot say."""
    return _ENCODER.encode(value)


def content_hash(value: object) -> str:
    """SHA-256 of the canonical form, 64 hex digits: the version of a suite, a plan, a contestant."""
    return hashlib.sha256(_ENCODER.encode(value)).hexdigest()
