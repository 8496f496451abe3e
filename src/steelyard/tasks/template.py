"""Templates: `{field}` is replaced, `{{` and `}}` are braces, and nothing is ever executed.

No conditions, loops, filters or attribute access: what a template does can be read off it. A value that is put in is
not looked at again, so a task cannot smuggle in a field.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from functools import lru_cache

from steelyard.errors import DataError

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}\n]{1,200})\}|[{}]")
_NAME = re.compile(r"[^\W\d][\w .\[\]-]*")
HIDDEN = ("target", "human_minutes", "split")
"""Fields that a template may not show: the contestant sees neither target nor grader."""


@lru_cache(maxsize=256)
def parse(template: str) -> tuple[tuple[str, bool], ...]:
    """Pieces as (text, is a field name). Raises DataError for a brace that belongs to nothing."""
    pieces: list[tuple[str, bool]] = []
    at = 0
    for match in _TOKEN.finditer(template):
        if match.start() > at:
            pieces.append((template[at : match.start()], False))
        at = match.end()
        token, name = match.group(0), (match.group(1) or "").strip()
        if token in ("{{", "}}"):
            pieces.append((token[0], False))
        elif name and _NAME.fullmatch(name):
            pieces.append((name, True))
        else:
            raise DataError(
                "a brace that is no field",
                where=f"template, character {match.start() + 1}",
                wanted="{field}, or {{ and }} for braces",
                got=template[max(0, match.start() - 20) : match.end() + 20],
                fix="double the brace to show it as it is",
            )
    if at < len(template):
        pieces.append((template[at:], False))
    return tuple(pieces)


def names_in(template: str) -> tuple[str, ...]:
    """The fields that a template uses."""
    return tuple(name for name, is_field in parse(template) if is_field)


def check(template: str, known: Collection[str], where: str) -> None:
    """Raises DataError when a template uses a field that is not known, or one that would show the answer."""
    for name in names_in(template):
        if name in HIDDEN and name not in known:
            raise DataError(
                f"the template shows `{name}`",
                where=where,
                wanted="a prompt that does not hold the answer",
                got="{" + name + "}",
                fix="remove it: contestants see neither target nor grader",
            )
        if name not in known:
            near = difflib.get_close_matches(name, list(known), 1)
            raise DataError(
                f"the template uses `{name}`, which is not a field of every task",
                where=where,
                wanted="one of " + ", ".join(sorted(known)),
                got="{" + name + "}",
                fix=f"did you mean {{{near[0]}}}?" if near else "double the braces to show them as they are",
            )


def fill(template: str, values: Mapping[str, str], where: str) -> str:
    """The template with every field replaced. Raises DataError that names a missing field and those there are."""
    out = []
    for text, is_field in parse(template):
        if not is_field:
            out.append(text)
        elif text in values:
            out.append(values[text])
        else:
            check(template, values.keys(), where)
    return "".join(out)
