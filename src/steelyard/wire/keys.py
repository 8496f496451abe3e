"""Credentials from the environment or a `.env` file. Nothing is read here: both are given as values.

A value of the real environment wins over the file. A key goes to the host that it is meant for: the variables of
OpenAI and Anthropic are used for their own hosts and for the `*_BASE_URL` that stands beside them in the
environment; any other address gets a key only by a named variable (`key_env`).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from steelyard.errors import UserError

OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"


class Secret:
    """A credential that does not print, is not pickled and is compared in constant time. `reveal` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential itself, for the transport."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)" if self._value else "Secret()"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(Secret)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled; send the name of its variable instead")


@dataclass(frozen=True, slots=True)
class Credential:
    """Where calls go and with which key; `source` is the variable that held it, "" for none."""

    base_url: str
    secret: Secret
    source: str = ""


_SECRET_NAME = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
SHORTEST = 6
"""Characters of a secret that is searched for: a shorter one (a local server's dummy) would tear words apart."""


def secrets_in(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The credentials of an environment, by the names of its variables, the longest first: for what runs with all of
    them, and may repeat one."""
    found = {v.strip() for k, v in environ.items() if _SECRET_NAME.search(k)}
    return tuple(sorted((v for v in found if len(v) >= SHORTEST), key=len, reverse=True))


_NAME = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def parse_dotenv(text: str, where: str = ".env") -> dict[str, str]:
    """The variables of a `.env` file: `NAME=value`, `export NAME=value`, comments, 'literal' and "escaped" quotes,
    which may span lines. Nothing is interpolated. Raises UserError with the line's number, never its text."""
    out: dict[str, str] = {}
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    at, end = 0, len(text)
    while at < end:
        line_end = text.find("\n", at)
        line_end = end if line_end < 0 else line_end
        line = text[at:line_end].strip()
        if not line or line.startswith("#"):
            at = line_end + 1
            continue
        start = at + (len(text[at:line_end]) - len(text[at:line_end].lstrip()))
        match = _NAME.match(text, start, line_end)
        number = text.count("\n", 0, at) + 1
        if match is None:
            raise UserError(
                "this line is no variable", where=f"{where}:{number}", wanted="NAME=value, or a comment"
            )
        value_at = match.end()
        quote = text[value_at : value_at + 1]
        if quote in ("'", '"') and value_at < line_end:
            value, at = _quoted(text, value_at, f"{where}:{number}")
        else:
            value = re.sub(r"(^|\s+)#.*$", "", text[value_at:line_end]).strip()
            at = line_end + 1
        out[match[1]] = value
    return out


def _quoted(text: str, at: int, where: str) -> tuple[str, int]:
    """The value of the quoted string that starts at `at`, and where the next line starts."""
    quote, out = text[at], list[str]()
    i = at + 1
    while i < len(text) and text[i] != quote:
        if text[i] == "\\" and quote == '"' and i + 1 < len(text):
            out.append(_ESCAPES.get(text[i + 1], text[i : i + 2]))
            i += 2
        else:
            out.append(text[i])
            i += 1
    if i >= len(text):
        raise UserError("a quote that is never closed", where=where, wanted=f"a closing {quote}")
    line_end = text.find("\n", i)
    line_end = len(text) if line_end < 0 else line_end
    rest = text[i + 1 : line_end].strip()
    if rest and not rest.startswith("#"):
        raise UserError("text after the closing quote", where=where, wanted="nothing, or a comment")
    return "".join(out), line_end + 1


def with_dotenv(environ: Mapping[str, str], dotenv: str, where: str = ".env") -> dict[str, str]:
    """The environment with a `.env` file's variables under it; what is set and not empty in the environment wins."""
    out = parse_dotenv(dotenv, where)
    out.update({k: v for k, v in environ.items() if v or k not in out})
    return out


def secret(environ: Mapping[str, str], key_env: str, *, where: str = "") -> Secret:
    """The credential in the variable `key_env`. Raises UserError when it is not set."""
    value = environ.get(key_env, "").strip()
    if not value:
        raise UserError(
            f"no key: the variable {key_env} is not set",
            where=where,
            fix=f"export {key_env}=..., or write it to .env in the working directory",
        )
    return Secret(value)


def find(
    dialect: str, environ: Mapping[str, str], *, base_url: str = "", key_env: str = "", where: str = ""
) -> Credential:
    """Address and key of an endpoint, by the rules at the top. Raises UserError when a key is needed and not there."""
    family = "ANTHROPIC" if dialect == "anthropic-messages" else "OPENAI"
    standard = ANTHROPIC_URL if family == "ANTHROPIC" else OPENAI_URL
    from_environment = environ.get(f"{family}_BASE_URL", "").strip()
    address = base_url or from_environment or standard
    if key_env:
        return Credential(address, secret(environ, key_env, where=where), key_env)
    variable = f"{family}_API_KEY"
    own_host = urlsplit(address).netloc == urlsplit(standard).netloc
    if own_host:
        return Credential(address, secret(environ, variable, where=where), variable)
    beside = bool(from_environment) and urlsplit(address).netloc == urlsplit(from_environment).netloc
    value = environ.get(variable, "").strip() if beside else ""
    return Credential(address, Secret(value), variable if value else "")
