"""What people judge, as pages show it: the texts of an answer, its media, and a rendered form in a sandboxed frame.

Markdown is rendered without HTML of its own; what is HTML or SVG is passed on as it is. Either is only ever sent as a
sandboxed body: an origin of its own, no script, nothing loaded (`access.SANDBOX_CSP`).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from html import escape
from typing import Literal

from markdown_it import MarkdownIt

from steelyard.arena.base import Answer, Medium, Prompt
from steelyard.arena.media import media_in, named
from steelyard.errors import DataError
from steelyard.ledger.base import Ledger
from steelyard.sandbox.pack import unpack
from steelyard.schema.message import Message, media_of, media_words, text_of
from steelyard.web.base import Body

Form = Literal["plain", "markdown", "html", "svg"]
MOST_RENDERED = 2_000_000
"""Characters that are rendered; a longer answer is read as text."""

_MARKDOWN = re.compile(
    r"^(#{1,6} |```|> |\s{0,3}[-*+] |\s{0,3}\d+[.)] |\|.*\|)|\*\*[^*\n]+\*\*|\[[^\]\n]+\]\([^)\n]+\)",
    re.MULTILINE,
)
_STYLE = (
    "<style>:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:.8rem;overflow-wrap:anywhere}"
    "pre{overflow-x:auto;padding:.6rem;border:1px solid #8886;border-radius:4px}table{border-collapse:collapse}"
    "td,th{border:1px solid #8886;padding:.2rem .5rem}img,svg{max-width:100%}</style>"
)


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a trace: who, its text, the tools that it called, how many images and sounds it has, in words."""

    role: str
    text: str
    calls: tuple[tuple[str, str], ...]
    reasoning: str
    media: str


@dataclass(frozen=True, slots=True)
class File:
    """An image, a sound or a file on a page. `here`: a browser may show it in place; `n` is its number, `there` is
    False when there are no bytes to fetch (a removed file, an address)."""

    n: int
    name: str
    kind: str
    here: bool
    there: bool
    preview: str
    gone: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer on a page."""

    text: str
    refusal: str
    said: tuple[Said, ...]
    media: tuple[File, ...]
    options: tuple[str, ...]
    form: Form


@dataclass(frozen=True, slots=True)
class Asked:
    """A task on a page."""

    said: tuple[Said, ...]
    options: tuple[str, ...]
    media: tuple[File, ...]


def shown(answer: Answer) -> Shown:
    """An answer as a page shows it."""
    return Shown(
        answer.text,
        answer.refusal,
        tuple(map(_said, answer.messages)),
        _files(answer.media),
        answer.options,
        form_of(answer.text),
    )


def asked(prompt: Prompt) -> Asked:
    """A task as a page shows it."""
    said = tuple(map(_said, prompt.messages))
    return Asked(said, prompt.options, _files(asked_media(prompt)))


def asked_media(prompt: Prompt) -> tuple[Medium, ...]:
    """The images and sounds in what was asked: those of the task, and those in its messages."""
    own = (named(f"image {n} of the task", url) for n, url in enumerate(prompt.images, 1))
    return (*own, *media_in(prompt.messages))


def _files(media: tuple[Medium, ...]) -> tuple[File, ...]:
    return tuple(
        File(n, m.name, m.media_type, in_place(m.media_type), bool(m.data or m.digest), m.preview, m.gone)
        for n, m in enumerate(media)
    )


def _said(m: Message) -> Said:
    return Said(m.role, text_of(m), _calls(m), m.reasoning, media_words(media_of(m)))


def _calls(m: Message) -> tuple[tuple[str, str], ...]:
    return tuple((c.name, c.arguments) for c in m.tool_calls)


def form_of(text: str) -> Form:
    """What an answer looks like: a page, a picture, Markdown, or plain text."""
    head = text[:4000].lstrip().lower()
    fenced = re.fullmatch(r"```(html|svg|xml)?\s*\n(.*?)\n```\s*", text.strip(), re.DOTALL | re.IGNORECASE)
    if fenced and "```" not in fenced[2]:
        head = fenced[2].lstrip().lower()[:4000]
    if head.startswith(("<!doctype html", "<html", "<body", "<div", "<table")):
        return "html"
    if head.startswith("<svg") or (head.startswith("<?xml") and "<svg" in head):
        return "svg"
    return "markdown" if _MARKDOWN.search(text[:100_000]) else "plain"


def rendered(text: str) -> Body:
    """The answer as a document for a sandboxed frame."""
    form = form_of(text)
    cut = text[:MOST_RENDERED]
    if form in ("html", "svg"):
        fenced = re.fullmatch(r"```\w*\s*\n(.*?)\n```\s*", cut.strip(), re.DOTALL)
        inner = fenced[1] if fenced else cut
    elif form == "markdown":
        inner = _STYLE + str(MarkdownIt("commonmark", {"html": False}).enable("table").render(cut))
    else:
        inner = f"{_STYLE}<pre>{escape(cut)}</pre>"
    document = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>answer</title></head><body>{inner}'
    return Body(document.encode("utf-8", "replace"), "text/html; charset=utf-8", sandboxed=True)


def whole(text: str) -> Body:
    """All of an answer as plain text."""
    return Body(text.encode("utf-8", "replace"), "text/plain; charset=utf-8", sandboxed=True)


_PLACES = re.compile(r"(image/(png|jpeg|gif|webp|svg\+xml|bmp|avif)|audio/[\w.+-]+|video/(mp4|webm|ogg))")


def in_place(media_type: str) -> bool:
    """Whether a browser may show this kind in its place on a page."""
    return _PLACES.fullmatch(media_type) is not None


def medium(ledger: Ledger, found: Medium) -> Body:
    """The bytes of a medium; what a browser should not open in place is a download."""
    if found.member:
        content = unpack(ledger.payload(found.digest)).read(found.member)
    elif found.digest:
        content = ledger.payload(found.digest)
    else:
        try:
            content = base64.b64decode(found.data, validate=False)
        except (binascii.Error, ValueError) as e:
            raise DataError(f"{found.name}: not base64", got=str(e)) from e
    if not (found.data or found.digest):
        raise DataError(f"{found.name}: there are no bytes of it here", got=found.media_type)
    if in_place(found.media_type):
        return Body(content, found.media_type, sandboxed=True)
    return Body(content, "application/octet-stream", sandboxed=True, filename=found.name)


def numbered(ledger: Ledger, media: tuple[Medium, ...], n: int) -> Body:
    """The bytes of one of several media."""
    if n >= len(media):
        raise DataError("no such file here", wanted=f"0 to {len(media) - 1}" if media else "none", got=str(n))
    return medium(ledger, media[n])
