"""What the arena hands out and takes in. Nothing here touches a disk."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.errors import DataError, UserError
from steelyard.schema.message import Message
from steelyard.schema.vote import Winner


class Refused(UserError):
    """A vote or a label that is not taken. `kind`: token, expired, foreign, choice, label, gone."""

    def __init__(self, message: str, *, kind: str, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.kind = kind


def checked_name(name: str, of: str) -> None:
    """Raise DataError unless `name` can be an arena's or a queue's: it stands in addresses and on command lines."""
    if (
        not name
        or len(name) > 80
        or not all(c.isalnum() or c in "-_." for c in name)
        or name.startswith((".", "-"))
    ):
        raise DataError(f"the {of}'s name", wanted="letters, digits, - _ . (up to 80)", got=repr(name[:100]))


@dataclass(frozen=True, slots=True)
class Medium:
    """An image, a sound or a file of an answer: `data` is base64, or `digest` names a payload of the ledger.

    With `member` the payload is an archive of a workspace's changes and this is the file at that path. `preview` is its
    text when it is text; `gone` says that the path was removed.
    """

    name: str
    media_type: str
    data: str = ""
    digest: str = ""
    member: str = ""
    preview: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What one side shows. Hostile text: whoever shows it escapes it. No name of a contestant is in here.

    `messages` are those that the contestant and its tools said (a trace), empty for a single reply; `refusal` is the
    provider's explicit refusal; `options` are the choices in the order in which this contestant saw them.
    """

    text: str
    refusal: str = ""
    messages: tuple[Message, ...] = ()
    media: tuple[Medium, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """What was asked, as the task states it: `messages` in order; `options` when there are choices."""

    messages: tuple[Message, ...]
    images: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Battle:
    """Two blind answers. `token` goes with the vote; `n_voted` is how many this annotator has cast."""

    id: str
    token: str
    prompt: Prompt
    left: Answer
    right: Answer
    expires_at: int
    n_voted: int


@dataclass(frozen=True, slots=True)
class Voted:
    """A vote that is durable, and what was hidden until then. `first` is False when it was cast before.

    `receipt` is the head of the chain after the vote (64 hex digits, "" when not first): a later `verify --head` with
    it proves that nothing up to this vote was changed.
    """

    battle: str
    winner: Winner
    left: str
    right: str
    task: str
    first: bool
    receipt: str
    quarantined: str = ""


@dataclass(frozen=True, slots=True)
class NoBattle:
    """Why there is nothing to vote on, in a sentence."""

    reason: str
