"""The shipped models: their cards, and their weights as arrays. Reads files of this package only."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard.contestants.embedded.model import Model
from steelyard.contestants.embedded.shape import Shape
from steelyard.contestants.embedded.tokenizer import Tokenizer
from steelyard.errors import DataError, UserError

FOLDER = Path(__file__).parent / "weights"
GROUP = 128
"""Numbers that share a scale in the 4-bit copy."""


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a model: `weights/<name>.json`, written by the training script.

    `facts` is the whole document: recipe, seeds, training steps and time, measured accuracy.
    """

    name: str
    shape: Shape
    sha256: str
    file: Path
    facts: dict[str, object]


@dataclass(frozen=True, slots=True)
class Embedded:
    """A loaded model with its tokenizer and card."""

    card: Card
    model: Model
    tokenizer: Tokenizer


def model_names(folder: Path = FOLDER) -> tuple[str, ...]:
    """Names of all models with a card, smallest first, a quantised copy after its original."""
    return tuple(c.name for c in sorted(_cards(folder), key=lambda c: (c.shape.parameters, len(c.name))))


def card(name: str, folder: Path = FOLDER) -> Card:
    """The card of a model. Raises UserError that names the models there are."""
    for found in _cards(folder):
        if found.name == name:
            return found
    names = ", ".join(model_names(folder))
    raise UserError(
        "no such embedded model", wanted=f"one of {names}", got=name, fix="check the model's name"
    )


@functools.cache
def load(name: str, folder: Path = FOLDER) -> Embedded:
    """The model, ready to run; loaded once a process. Raises DataError when the file is not the card's."""
    its = card(name, folder)
    data = its.file.read_bytes()
    got = hashlib.sha256(data).hexdigest()
    if got != its.sha256:
        raise DataError(
            "the weights are not those of the card",
            where=its.file.name,
            wanted=f"sha256 {its.sha256}",
            got=got,
            fix="reinstall Steelyard, or run `make models`",
        )
    with np.load(BytesIO(data), allow_pickle=False) as arrays:
        held = dict(arrays)
    words = bytes(held.pop("words")).decode().split("\x00")
    return Embedded(its, Model(its.shape, unpack(held)), Tokenizer(words))


def _cards(folder: Path) -> tuple[Card, ...]:
    return tuple(_read(path) for path in sorted(folder.glob("*.json")))


def _read(path: Path) -> Card:
    facts = json.loads(path.read_text(encoding="utf-8"))
    return Card(facts["name"], Shape(**facts["shape"]), facts["sha256"], path.with_suffix(".npz"), facts)


def quantise(weights: NDArray[np.floating]) -> dict[str, NDArray[np.generic]]:
    """4-bit copy of a matrix: `GROUP` neighbours in a row share a float16 scale, values are -7 to 7 times it.

    Round to nearest, no calibration: what a provider in a hurry does. Two values a byte, low half first.
    """
    rows = weights.astype(np.float32).reshape(-1, GROUP)
    scale = (np.abs(rows).max(axis=1) / 7).astype(np.float16)
    safe = np.where(scale == 0, 1, scale).astype(np.float32)
    steps = np.clip(np.rint(rows / safe[:, None]), -7, 7).astype(np.int8) + 8
    flat = steps.astype(np.uint8).reshape(-1)
    return {"q4": flat[0::2] | (flat[1::2] << 4), "scale": scale, "shape": np.array(weights.shape, np.int32)}


def unpack(held: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.floating]]:
    """Arrays in float32; `<name>.q4`, `.scale` and `.shape` become `<name>`."""
    out: dict[str, NDArray[np.floating]] = {}
    for key, value in held.items():
        name, _, part = key.rpartition(".")
        if part == "q4":
            packed = value.astype(np.uint8)
            steps = np.stack((packed & 15, packed >> 4), axis=1).reshape(-1, GROUP).astype(np.float32) - 8
            shape = held[f"{name}.shape"].astype(np.int64)
            out[name] = (steps * held[f"{name}.scale"].astype(np.float32)[:, None]).reshape(shape)
        elif part not in ("scale", "shape"):
            out[key] = value.astype(np.float32)
    return out
