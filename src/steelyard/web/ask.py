"""What a request asks for: the names in its path, the query that restores a view, and addresses made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode

from steelyard.errors import DataError

Query = Mapping[str, tuple[str, ...]]
Change = str | int | float | Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. Everything that a page shows follows from it and from the ledger: an address restores its page.

    `form` holds a POST's fields. `session` names the browser (a random text; the same in all of its tabs), `csrf` is
    what its forms must send back.
    """

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    query: Query = field(default_factory=dict)
    form: Query = field(default_factory=dict)
    session: str = ""
    csrf: str = ""
    theme: str = ""
    byte_range: tuple[int, int | None] | None = None

    def param(self, name: str) -> str:
        """A name of the path, such as `run`."""
        return self.params[name]

    def text(self, name: str, default: str = "") -> str:
        """The last value given for `name` in the query."""
        values = self.query.get(name, ())
        return values[-1] if values else default

    def all(self, name: str) -> tuple[str, ...]:
        """Every value given for `name`, in order."""
        return tuple(self.query.get(name, ()))

    def flag(self, name: str) -> bool:
        """True when `name` is given as 1, true, yes or on."""
        return self.text(name).lower() in ("1", "true", "yes", "on")

    def one_of(self, name: str, allowed: Sequence[str], default: str) -> str:
        """A value out of a list. Raises DataError (a 400 page) for any other."""
        value = self.text(name, default)
        if value not in allowed:
            raise DataError(f"?{name}={value}", wanted=", ".join(allowed), got=value)
        return value

    def whole(self, name: str, default: int, least: int = 0, most: int = 1 << 53) -> int:
        """A whole number from `least` to `most`. Raises DataError for anything else."""
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.lstrip("-").isdigit() and len(text) < 20):
            raise DataError(f"?{name}", wanted=f"a whole number from {least} to {most}", got=text)
        value = int(text)
        if not least <= value <= most:
            raise DataError(f"?{name}", wanted=f"a whole number from {least} to {most}", got=text)
        return value

    def field(self, name: str, default: str = "") -> str:
        """The last value of a POST's field."""
        values = self.form.get(name, ())
        return values[-1] if values else default

    def with_format(self, name: str) -> Ask:
        """The same request for another form of the page: "" for the page itself."""
        query = {k: v for k, v in self.query.items() if k not in ("format", "token")}
        return replace(self, query={**query, "format": (name,)} if name else query)

    def url(self, changes: Mapping[str, Change]) -> str:
        """This page's address with other query values; None leaves one out."""
        query = {k: list(v) for k, v in self.query.items()}
        for name, value in changes.items():
            if value is None or value == "":
                query.pop(name, None)
            elif isinstance(value, str | int | float):
                query[name] = [str(value)]
            else:
                query[name] = [str(v) for v in value]
        return address(self.path, query)


def address(path: str, query: Mapping[str, Sequence[str]] | None = None) -> str:
    """A path and a query as an address."""
    text = urlencode([(k, v) for k, vs in (query or {}).items() for v in vs])
    return f"{path}?{text}" if text else path


def fill(path: str, names: Mapping[str, object]) -> tuple[str, dict[str, list[str]]]:
    """The path with its `{names}` filled in, and what was not in it as a query (None and "" left out)."""
    rest: dict[str, list[str]] = {}
    for name, value in names.items():
        place = "{" + name + "}"
        if place in path:
            path = path.replace(place, quote(str(value), safe=""))
        elif isinstance(value, list | tuple):
            rest[name] = [str(v) for v in value]
        elif value is not None and value != "":
            rest[name] = [str(value)]
    return path, rest
