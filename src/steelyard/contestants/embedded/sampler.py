"""From logits to a token: temperature, top-p, a seed; log-probabilities; stop strings."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contestants.embedded.tokenizer import END

MAX_TOP_LOGPROBS = 20


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw an answer.

    `temperature` 0 takes the likeliest token (the lowest id of equals). `top_p` keeps the smallest set of
    likeliest tokens whose probability reaches it. `seed` fixes the draws; None draws a fresh one.
    `top_logprobs` alternatives are reported at each token (0: none). `stop` strings end the answer and are
    not part of it.
    """

    max_tokens: int = 128
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn token, its log-probability under the model (temperature 1), and the likeliest alternatives."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


def generator(seed: int | None, prompt: NDArray[np.intp]) -> np.random.Generator:
    """The random numbers of one request.

    They depend on the seed *and* the prompt: two tasks asked with the same seed do not share their luck, and
    the same request with the same seed gets the same numbers.
    """
    if seed is None:
        return np.random.default_rng()
    # a seed may be negative or larger than 64 bits: its text is hashed with the prompt
    digest = zlib.crc32(prompt.astype("<i4").tobytes())
    return np.random.default_rng([digest, *str(seed).encode()])


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log-probabilities (vocab,) of the tokens that an answer may hold; -inf for other marks."""
    x = logits.astype(np.float64)
    x[:END] = -np.inf
    x -= x.max()
    logs: NDArray[np.float64] = x - np.log(np.exp(x).sum())
    return logs


def draw(logits: NDArray[np.float32], how: Sampling, rng: np.random.Generator) -> Drawn:
    """Draw the next token from logits (vocab,)."""
    logs = log_softmax(logits)
    token = int(np.argmax(logs)) if how.temperature == 0 else _sample(logs, how, rng)
    top: tuple[tuple[int, float], ...] = ()
    if how.top_logprobs:
        best = np.argsort(-logs, kind="stable")[: how.top_logprobs]
        top = tuple((int(t), float(logs[t])) for t in best)
    return Drawn(token, float(logs[token]), top)


def _sample(logs: NDArray[np.float64], how: Sampling, rng: np.random.Generator) -> int:
    scaled = logs / how.temperature
    weights = np.exp(scaled - scaled.max())
    u = rng.random()
    if how.top_p >= 1:
        edges = np.cumsum(weights)
        return min(int(np.searchsorted(edges, u * edges[-1], side="right")), len(weights) - 1)
    order = np.argsort(-weights, kind="stable")
    edges = np.cumsum(weights[order])
    kept = int(np.searchsorted(edges, how.top_p * edges[-1], side="left")) + 1
    edges = edges[:kept]
    return int(order[min(int(np.searchsorted(edges, u * edges[-1], side="right")), kept - 1)])


class StopScanner:
    """Passes text on as soon as it can no longer be the beginning of a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [s for s in stops if s]
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """The text that may be shown now; sets `stopped` when a stop string is complete."""
        held = self._held + text
        cuts = [i for i in (held.find(s) for s in self._stops) if i >= 0]
        if cuts:
            self.stopped, self._held = True, ""
            return held[: min(cuts)]
        keep = max((_overlap(held, s) for s in self._stops), default=0)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def flush(self) -> str:
        """What was held back, at the end of the answer."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that begins `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
