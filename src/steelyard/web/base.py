"""What a view is: a path, a function from the ledger to a frozen page model, and a template that shows it.

A page model is a frozen dataclass made of plain values, `Unknown`, and the frozen results of the rooms below. It is
made by a function without knowledge of HTML; the page, the JSON and the CSV come from the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from steelyard.web.ask import Ask
    from steelyard.web.desk import Desk


@dataclass(frozen=True, slots=True)
class Table:
    """What a CSV download holds. Cells are texts, numbers, None or `Unknown` (its reason is written)."""

    columns: tuple[str, ...]
    rows: Iterable[tuple[object, ...]]


class Page(Protocol):
    """A page model. `command` is the command line that prints the same figures: "" for `steelyard page ADDRESS`."""

    @property
    def title(self) -> str:
        """What the page shows, for the browser's tab and the first heading."""

    @property
    def command(self) -> str:
        """The command that prints the same; "" when only `steelyard page` does."""

    def table(self) -> Table:
        """The page's rows as a table."""


Scope = Literal["ledger", "run"]
"""Where a view's tab stands: in the top bar, or among the tabs of a run."""


@dataclass(frozen=True, slots=True)
class View:
    """A page. `path` may hold `{run}` (an id, prefix, name or `last`) and other names, read by `ask.param`.

    `name` is the template's name (`templates/<name>.html`) and what `href` calls it. `tab` is its label among the
    tabs of its `scope` ("" : none) and `order` its place there. `key` is the keyboard's letter after `g`. `script` and
    `style` are files of `static/` that only this page loads; `charts` loads the plotting library as well. `judges`: it
    is there for people who may only vote or label, too; its path names the arena or the queue.
    """

    name: str
    path: str
    build: Callable[[Desk, Ask], Page]
    tab: str = ""
    scope: Scope = "run"
    order: int = 100
    key: str = ""
    script: str = ""
    style: str = ""
    charts: bool = False
    judges: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What an act leads to: the address of the page to see next, and what a script gets instead."""

    to: str
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Act:
    """A change by a person (a tag, a vote): POST only, with the form's fields as `ask.form`. Returns where to go.

    Origin and CSRF are checked before `do` is called. A page's form holds `{{ csrf() }}`.
    """

    name: str
    path: str
    do: Callable[[Desk, Ask], Done]
    judges: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that are not a page: a part of a long message, an answer shown in a sandboxed frame, a file.

    `give` returns a `Body`. See `Body.sandboxed` for what hostile content gets.
    """

    name: str
    path: str
    give: Callable[[Desk, Ask], Body]
    judges: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A response. `sandboxed` content has an origin of its own, runs no script and loads nothing.

    `total` is the size of the whole when `content` is the part [start, start + len(content)) of it.
    """

    content: bytes
    media_type: str = "application/json"
    sandboxed: bool = False
    start: int = 0
    total: int | None = None
    filename: str = ""
