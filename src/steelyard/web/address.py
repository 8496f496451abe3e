"""A page by its address, without a server: what `steelyard page` prints, and the command line that prints a page.

The figures are those of the page because they come from the same model. Nothing is escaped here: whoever prints them
makes control characters harmless.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from steelyard.errors import DataError
from steelyard.web.ask import Ask, address
from steelyard.web.base import Page, View
from steelyard.web.desk import Desk
from steelyard.web.registry import Registry
from steelyard.web.text import visible

FORGOTTEN = ("format", "token")
"""Parts of a query that do not change what a page shows."""


@dataclass(frozen=True, slots=True)
class Found:
    """A view and what it is asked."""

    view: View
    ask: Ask


def find(registry: Registry, text: str) -> Found:
    """The view of an address such as `/runs/last/grid?sort=flips`; a host before it is left out.

    Raises DataError when no view has it.
    """
    try:
        parts = urlsplit(text)
        pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=1000)
    except ValueError as e:
        raise DataError("no address of a page", wanted="/runs/last/grid?sort=flips", got=str(e)) from None
    path = "/" + parts.path.strip("/")
    for view in registry.views.values():
        names = re.fullmatch(_pattern(view.path), path)
        if names is None:
            continue
        query: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            query[name] = (*query.get(name, ()), value)
        return Found(view, Ask(path, {k: unquote(v) for k, v in names.groupdict().items()}, query))
    wanted = " | ".join(v.path for v in registry.views.values())
    raise DataError("no page has this address", wanted=wanted, got=path)


def _pattern(path: str) -> str:
    return re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))


def command_of(view: View, ask: Ask, page: Page) -> str:
    """The command line that prints every figure of this page, in this order: for the same run, not for `last`."""
    run = getattr(page, "run", None)
    path = view.path
    for name, value in ask.params.items():
        whole = run.run if name == "run" and run is not None else value
        path = path.replace("{" + name + "}", quote(whole, safe=""))
    query = {k: v for k, v in ask.query.items() if k not in FORGOTTEN and any(v)}
    return f"steelyard page {shlex.quote(address(path, query))}"


@dataclass(frozen=True, slots=True)
class Commands:
    """What stands below a page: `same` prints the page's figures; `page` this page, as sorted and filtered."""

    same: str
    page: str
    where: str
    """What names the ledger at the end of any other command: " --ledger PLACE", or nothing."""


def commands(desk: Desk, view: View, ask: Ask, page: Page) -> Commands:
    """Both command lines, with the ledger when the server was told where it is."""
    where = f" --ledger {shlex.quote(desk.named)}" if desk.named else ""
    mine = command_of(view, ask, page)
    # a name with invisible characters is shown with marks in their place, which no shell takes back: its address is
    # plain ASCII
    natural = page.command if visible(page.command) == page.command else ""
    return Commands((natural or mine) + where, mine + where, where)
