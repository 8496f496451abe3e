"""Votes: a person's choice between two answers that stood side by side."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Winner = Literal["left", "right", "tie", "both_bad"]


class Vote(Struct, frozen=True, omit_defaults=True):
    """`left` and `right` name contestants as they stood. `prompt`, `voter` are names or numbers as texts.

    `fields` keeps the other columns of an imported table (style features, languages).
    """

    left: str
    right: str
    winner: Winner
    id: str = ""
    prompt: str = ""
    voter: str = ""
    at: int = 0
    fields: dict[str, object] = {}
