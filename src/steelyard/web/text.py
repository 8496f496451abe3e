"""Text that a model wrote, made harmless and honest for a page: everything escaped, nothing invisible.

Control characters become visible marks; characters that change the direction of writing are shown as marks as well,
so that an order that a text feigns is seen; the text stands in a `<bdi>` of its own, so that right-to-left writing
turns nothing outside it. A text is cut at `limit` characters and says so.
"""

from __future__ import annotations

import re

from markupsafe import Markup, escape

LIMIT = 20_000
"""Characters of one text on a page unless a view says otherwise; longer ones are read in parts."""

_NAMES = {
    0x200B: "ZWSP",
    0x200C: "ZWNJ",
    0x200D: "ZWJ",
    0x200E: "LRM",
    0x200F: "RLM",
    0x061C: "ALM",
    0x202A: "LRE",
    0x202B: "RLE",
    0x202C: "PDF",
    0x202D: "LRO",
    0x202E: "RLO",
    0x2066: "LRI",
    0x2067: "RLI",
    0x2068: "FSI",
    0x2069: "PDI",
    0x2028: "LSEP",
    0x2029: "PSEP",
    0xFEFF: "BOM",
    0x00AD: "SHY",
}
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def mark_of(character: str) -> str:
    """What stands for an invisible character: its name, or its number."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return _NAMES.get(code, f"U+{code:04X}")


def _mark(match: re.Match[str]) -> str:
    return f"\x00{mark_of(match.group())}\x01"


def visible(text: str) -> str:
    """Plain text with invisible characters as `[RLO]`: for titles and attributes, where no element can stand."""
    return _HIDDEN.sub(lambda m: f"[{mark_of(m.group())}]", text)


def shown(text: object, limit: int = LIMIT) -> Markup:
    """A hostile text as HTML: escaped, invisible characters marked, its direction kept to itself."""
    whole = text if isinstance(text, str) else str(text)
    cut = whole[:limit] if limit and len(whole) > limit else whole
    marked = _HIDDEN.sub(_mark, cut.replace("\r\n", "\n"))
    body = str(escape(marked)).replace("\x00", '<span class="mark">').replace("\x01", "</span>")
    more = "" if cut is whole else f'<span class="cut">… {len(whole) - len(cut):,} more characters</span>'
    return Markup(f'<bdi class="text">{body}</bdi>{more}')  # noqa: S704 - `body` is escaped just above


def name(text: object, limit: int = 40) -> Markup:
    """A name on one line; a long one is cut in the middle: what tells names apart is at either end."""
    whole = re.sub(r"[\n\t]+", " ", text if isinstance(text, str) else str(text))
    if len(whole) <= limit:
        return shown(whole, 0)
    tail = limit // 2
    both = shown(whole[: limit - tail - 1], 0), shown(whole[-tail:], 0)
    cut = Markup('<span class="named" title="{}">{}<span class="cut">…</span>{}</span>')
    return cut.format(visible(whole[:600]), *both)


def line(text: object, limit: int = 120) -> Markup:
    """A hostile text on one line: as `shown`, line breaks as spaces, the cut as an ellipsis that tells the rest."""
    whole = text if isinstance(text, str) else str(text)
    flat = re.sub(r"[\n\t]+", " ", whole[: limit + 400])
    if len(whole) <= limit:
        return shown(flat, 0)
    return shown(flat[:limit], 0) + Markup('<span class="cut" title="… {}">…</span>').format(
        visible(flat[limit:])
    )
