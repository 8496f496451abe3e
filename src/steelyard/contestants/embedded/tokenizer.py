"""Text to token ids and back: whole words where the vocabulary has them, UTF-8 bytes everywhere else.

Any text can be encoded, and decoding gives it back exactly. A word is taken whole after a space or at the
start of a line only; inside quotation marks it is spelled, so that a model can see its letters.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence

PAD, BOS, SYSTEM, USER, ASSISTANT, END = range(6)
SPECIALS = 6
FIRST_WORD = SPECIALS + 256

_UNIT = re.compile(r"\n\(?[A-F][).]| [-+*=](?= )| ?[A-Za-z]+|[\s\S]")


class Tokenizer:
    """Ids 0 to 5 are the marks of a conversation, 6 to 261 the bytes, the rest `words` in order."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {w: FIRST_WORD + i for i, w in enumerate(self.words)}
        self._bytes: list[bytes] = [b""] * SPECIALS + [bytes([b]) for b in range(256)]
        self._bytes += [w.encode() for w in self.words]

    @property
    def size(self) -> int:
        """The number of ids."""
        return len(self._bytes)

    @property
    def longest(self) -> int:
        """The most characters that one token stands for."""
        return max(map(len, self.words), default=1)

    def encode(self, text: str) -> list[int]:
        """Ids of the text; lone surrogates become a question mark."""
        out: list[int] = []
        line_start = True
        for unit in _UNIT.findall(text):
            known = self._ids.get(unit) if line_start or not unit[0].isalpha() else None
            if known is not None:
                out.append(known)
            else:
                out.extend(SPECIALS + b for b in unit.encode("utf-8", "replace"))
            line_start = unit[-1] == "\n"
        return out

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for; empty for a mark."""
        return self._bytes[token]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of the tokens; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(self._bytes[t] for t in tokens).decode("utf-8", "replace")

    def decoder(self) -> codecs.IncrementalDecoder:
        """A decoder that holds back an unfinished character, for streaming."""
        return codecs.getincrementaldecoder("utf-8")("replace")

    def conversation(self, turns: Iterable[tuple[str, str]]) -> list[int]:
        """Ids of (role, text) turns, ready for the assistant to speak.

        Roles: system, user, assistant. A finished assistant turn ends with `END`, as in training.
        """
        out = [BOS]
        for role, text in turns:
            if role == "assistant":
                out += [ASSISTANT, *self.encode(text), END]
            else:
                out += [SYSTEM if role == "system" else USER, *self.encode(text)]
        out.append(ASSISTANT)
        return out
