"""The in-process door: a conversation in, an answer (or its pieces, as they come) out. Synchronous."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from steelyard.contestants.embedded.batcher import Batcher, Piece, Running
from steelyard.contestants.embedded.sampler import MAX_TOP_LOGPROBS, Drawn, Sampling
from steelyard.contestants.embedded.tokenizer import END, Tokenizer
from steelyard.contestants.embedded.weights import Embedded, load
from steelyard.errors import UserError

Turn = tuple[str, str]
"""Role (system, user, assistant) and text."""


class PromptTooLong(UserError):
    """The conversation leaves no room for a token of answer in the model's context."""


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token of an answer as text, its log-probability, and the likeliest alternatives."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Generated:
    """A finished answer. `tokens` are the drawn ones without the end mark; counts are in tokens."""

    text: str
    finish: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    tokens: tuple[TokenText, ...]


class Engine:
    """One model with its batcher."""

    def __init__(self, embedded: Embedded) -> None:
        self.card = embedded.card
        self.tokenizer: Tokenizer = embedded.tokenizer
        self.batcher = Batcher(embedded.model, embedded.tokenizer)

    @classmethod
    def named(cls, name: str) -> Engine:
        """The engine of a shipped model; its weights are shared, its batch is its own."""
        return cls(load(name))

    def submit(self, turns: Sequence[Turn], how: Sampling) -> Running:
        """Queue a conversation. Raises UserError for settings out of range, PromptTooLong.

        `max_tokens` is cut to what the context has room for, as in every hosted model.
        """
        _check(how)
        context = self.card.shape.context
        characters = sum(len(text) for _, text in turns)
        if characters > context * self.tokenizer.longest:  # megabytes are refused without reading them
            raise _too_long(context, f"{characters} characters")
        prompt = self.tokenizer.conversation(turns)
        if len(prompt) >= context:
            raise _too_long(context, f"{len(prompt)} tokens")
        room = min(how.max_tokens, context - len(prompt))
        return self.batcher.submit(
            prompt, Sampling(room, how.temperature, how.top_p, how.seed, how.stop, how.top_logprobs)
        )

    def stream(self, turns: Sequence[Turn], how: Sampling) -> Iterator[Piece]:
        """Pieces of the answer as they are drawn; the last one has `finish` set."""
        request = self.submit(turns, how)
        try:
            while True:
                while request.pieces:
                    piece = request.pieces.popleft()
                    yield piece
                    if piece.finish is not None:
                        return
                self.batcher.step()
        finally:
            request.cancelled = True

    def answer(self, turns: Sequence[Turn], how: Sampling) -> Generated:
        """The whole answer."""
        return self.answer_all([turns], how)[0]

    def answer_all(self, conversations: Sequence[Sequence[Turn]], how: Sampling) -> list[Generated]:
        """Answers to many conversations, batched; each is what it would be alone."""
        requests = [self.submit(turns, how) for turns in conversations]
        while self.batcher.busy:
            self.batcher.step()
        return [self.collect(r) for r in requests]

    def collect(self, request: Running) -> Generated:
        """The finished request as an answer."""
        pieces = list(request.pieces)
        return Generated(
            text="".join(p.text for p in pieces),
            finish="stop" if request.finish is None else request.finish,
            prompt_tokens=len(request.prompt),
            completion_tokens=request.spoken,
            tokens=tuple(
                self.token_text(p.drawn) for p in pieces if p.drawn is not None and p.drawn.token != END
            ),
        )

    def token_text(self, drawn: Drawn) -> TokenText:
        """A drawn token with its alternatives as text; the end mark reads `<end>`."""
        return TokenText(
            self._show(drawn.token), drawn.logprob, tuple((self._show(t), lp) for t, lp in drawn.top)
        )

    def _show(self, token: int) -> str:
        return "<end>" if token == END else self.tokenizer.decode([token])


def _too_long(context: int, got: str) -> PromptTooLong:
    return PromptTooLong(
        "the prompt is longer than the model's context",
        wanted=f"fewer than {context} tokens",
        got=got,
        fix="shorten the messages",
    )


def _check(how: Sampling) -> None:
    """Raises UserError naming the setting that is out of range."""
    checks = (
        ("max_tokens", how.max_tokens >= 1, "1 or more", how.max_tokens),
        ("temperature", 0 <= how.temperature <= 2, "0 to 2", how.temperature),
        ("top_p", 0 < how.top_p <= 1, "above 0, at most 1", how.top_p),
        (
            "top_logprobs",
            0 <= how.top_logprobs <= MAX_TOP_LOGPROBS,
            f"0 to {MAX_TOP_LOGPROBS}",
            how.top_logprobs,
        ),
    )
    for name, ok, wanted, got in checks:
        if not ok:
            raise UserError(
                f"{name} is out of range", wanted=wanted, got=str(got), fix=f"set {name} inside the range"
            )
