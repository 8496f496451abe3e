"""An adapter: what has to be known of a command-line agent to run it as a contestant, as a TOML file.

Placeholders in texts of `run`, `env` and `files`: ``{instruction}``, ``{instruction_file}``, ``{system}``, ``{model}``,
``{url}`` (the capturing endpoint, no path), ``{token}`` (a stand-in for a key), ``{executable}``, ``{root}`` (the
installation), ``{workspace}``, ``{home}``, ``{turns}``; in `mcp` ``{tools_url}``
(an MCP server of the task's tools). What is put in is not looked at again, and no shell reads it.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from steelyard.errors import PlanError

FORMAT = 1
DIALECTS = ("openai-chat", "openai-responses", "anthropic-messages", "gemini")
SHAPES = ("text", "json", "jsonl")
PLACEHOLDERS = frozenset(
    {
        "instruction",
        "instruction_file",
        "system",
        "model",
        "url",
        "token",
        "executable",
        "root",
        "workspace",
        "home",
    }
    | {"turns", "tools_url"}
)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that is written before the agent starts: `path` below {home} or {workspace}."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """Where the agent leaves its own record: a pattern below {home} or {workspace}, and its shape. `answer` is where a
    JSON record holds the text that it handed in: keys with dots between."""

    path: str
    shape: str = "text"
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Needs:
    """What the agent itself takes, on top of the task's limits: a runtime of its own runs in the same sandbox."""

    memory_mib: int = 256
    processes: int = 64
    tmp_mib: int = 64
    tmp_inodes: int = 4000


@dataclass(frozen=True, slots=True)
class Mcp:
    """How the agent is given an MCP server over HTTP, for tasks with tools of their own: `args` after the command, and
    `files` (one of a path that is written anyway takes its place)."""

    args: tuple[str, ...] = ()
    files: tuple[ConfigFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Adapter:
    """One agent. `verified` is the version that our own tests have run, "" for none; `docs` are the pages that its
    command line comes from; `digest` names the file's content."""

    name: str
    title: str
    dialect: str
    executable: str
    install: str
    run: tuple[str, ...]
    version: tuple[str, ...] = ()
    stdin: str = ""
    env: tuple[tuple[str, str], ...] = ()
    files: tuple[ConfigFile, ...] = ()
    mounts: tuple[str, ...] = ()
    transcript: Transcript | None = None
    reply: str = "model"
    ignore: tuple[str, ...] = ()
    needs: Needs = Needs()
    mcp: Mcp | None = None
    verified: str = ""
    docs: tuple[str, ...] = ()
    notes: str = ""
    where: str = ""
    digest: str = ""


_KEYS: Mapping[str, tuple[str, ...]] = {
    "": ("format", "name", "title", "dialect", "verified", "docs", "notes", "install", "run", "env", "files",
         "transcript", "needs", "mcp"),
    "install": ("executable", "command", "version", "mounts"),
    "run": ("command", "stdin", "reply", "ignore"),
    "files": ("path", "text"),
    "transcript": ("path", "shape", "answer"),
    "mcp": ("args", "files"),
    "needs": ("memory_mib", "processes", "tmp_mib", "tmp_inodes"),
}  # fmt: skip


@cache
def shipped() -> tuple[Adapter, ...]:
    """The adapters of this package, by name."""
    folder = resources.files("steelyard.contestants.agents") / "adapters"
    found = [parse(f.read_bytes(), str(f)) for f in folder.iterdir() if f.name.endswith(".toml")]
    return tuple(sorted(found, key=lambda a: a.name))


def adapter(name: str, *, near: Path | None = None) -> Adapter:
    """An adapter by its name, or the file of a path that ends in .toml (relative to `near`). Raises PlanError."""
    if name.endswith(".toml"):
        path = (near or Path()) / name
        try:
            return parse(path.read_bytes(), str(path))
        except OSError as e:
            raise PlanError(
                "the adapter cannot be read",
                where=str(path),
                got=e.strerror or str(e),
                fix="name a file that exists",
            ) from None
    for one in shipped():
        if one.name == name:
            return one
    raise PlanError(
        "no such agent",
        wanted="steelyard, "
        + ", ".join(a.name for a in shipped())
        + ", or the path of an adapter file (.toml)",
        got=name,
        fix="see `steelyard agents`",
    )


def parse(data: bytes, where: str) -> Adapter:
    """An adapter from its file. Raises PlanError, which names the key."""
    try:
        value = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise PlanError("the adapter is not TOML", where=where, got=str(e)[:200]) from None
    read = _Reader(where)
    read.keys("", value)
    if value.get("format") != FORMAT:
        raise PlanError(
            "unknown format of an adapter",
            where=where,
            wanted=f"format = {FORMAT}",
            got=str(value.get("format")),
        )
    install, run, needs = (read.table(value, k) for k in ("install", "run", "needs"))
    transcript = read.table(value, "transcript")
    found = Adapter(
        name=read.text(value, "name"),
        title=read.text(value, "title", default=str(value.get("name", ""))),
        dialect=read.one_of(value, "dialect", DIALECTS),
        executable=read.text(install, "executable"),
        install=read.text(install, "command", default=""),
        run=read.texts(run, "command", required=True),
        version=read.texts(install, "version"),
        stdin=read.text(run, "stdin", default=""),
        env=tuple((str(k), read.value("env", k, v)) for k, v in read.table(value, "env", free=True).items()),
        files=_files(read, value, "files"),
        mounts=read.texts(install, "mounts"),
        transcript=_transcript(read, transcript) if transcript else None,
        reply=read.one_of(run, "reply", ("model", "stdout"), "model"),
        ignore=read.texts(run, "ignore"),
        mcp=_mcp(read, read.table(value, "mcp")) if "mcp" in value else None,
        needs=Needs(**{k: read.number(needs, k) for k in needs}),
        verified=read.text(value, "verified", default=""),
        docs=read.texts(value, "docs"),
        notes=read.text(value, "notes", default="").strip(),
        where=where,
        digest=hashlib.sha256(data).hexdigest(),
    )
    if found.name == "steelyard" or not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", found.name):
        raise read.wrong(
            "name", "lower-case letters, digits, dots and dashes, and not `steelyard`", found.name
        )
    said = " ".join((*found.run, found.stdin, *(f.text for f in found.files)))
    if "{instruction" not in said:
        raise PlanError(
            "the agent is never told its task",
            where=where,
            wanted="{instruction} or {instruction_file} in run.command, run.stdin or a file",
        )
    if "{url}" not in " ".join((*found.run, *(v for _, v in found.env), *(f.text for f in found.files))):
        raise PlanError(
            "the agent's model endpoint is not redirected",
            where=where,
            wanted="{url} in env, run.command or a file",
        )
    return found


def _transcript(read: _Reader, value: Mapping[str, object]) -> Transcript:
    shape, answer = read.one_of(value, "shape", SHAPES, "text"), read.text(value, "answer", default="")
    if answer and shape != "json":
        raise read.wrong("transcript.answer", 'no answer, or shape = "json"', answer)
    return Transcript(read.text(value, "path"), shape, answer)


def _mcp(read: _Reader, value: Mapping[str, object]) -> Mcp:
    found = Mcp(read.texts(value, "args"), _files(read, value, "mcp.files"))
    if "{tools_url}" not in " ".join((*found.args, *(f.text for f in found.files))):
        raise read.wrong("mcp", "{tools_url} in mcp.args or a file of mcp.files", dict(value))
    return found


def _files(read: _Reader, value: Mapping[str, object], key: str) -> tuple[ConfigFile, ...]:
    files = value.get("files", [])
    if not isinstance(files, list):
        raise read.wrong(key, f"a list of tables [[{key}]]", files)
    return tuple(_file(read, f) for f in files)


def _file(read: _Reader, value: object) -> ConfigFile:
    if not isinstance(value, dict):
        raise read.wrong("files", "tables [[files]]", value)
    read.keys("files", value)
    path = read.text(value, "path")
    if not path.startswith(("{home}/", "{workspace}/")) or ".." in path.split("/"):
        raise read.wrong("files.path", "a path that starts with {home}/ or {workspace}/", path)
    return ConfigFile(path, read.text(value, "text"))


class _Reader:
    """Takes values out of tables with errors that name the key."""

    def __init__(self, where: str) -> None:
        self.where = where

    def wrong(self, key: str, wanted: str, got: object) -> PlanError:
        return PlanError(f"adapter: `{key}` is wrong", where=self.where, wanted=wanted, got=repr(got)[:80])

    def keys(self, table: str, value: Mapping[str, object]) -> None:
        unknown = sorted(set(value) - set(_KEYS[table]))
        if unknown:
            key = f"{table}.{unknown[0]}" if table else unknown[0]
            raise PlanError(
                f"adapter: unknown key `{key}`", where=self.where, wanted=", ".join(_KEYS[table]), got=key
            )

    def table(self, value: Mapping[str, object], key: str, *, free: bool = False) -> Mapping[str, object]:
        got = value.get(key, {})
        if not isinstance(got, dict):
            raise self.wrong(key, "a table", got)
        if not free:
            self.keys(key, got)
        return got

    def value(self, table: str, key: object, got: object) -> str:
        if not isinstance(got, str):
            raise self.wrong(f"{table}.{key}", "a text", got)
        return got

    def text(self, value: Mapping[str, object], key: str, *, default: str | None = None) -> str:
        got = value.get(key, default)
        if not isinstance(got, str) or (default is None and not got):
            raise self.wrong(key, "a text", got)
        return got

    def texts(self, value: Mapping[str, object], key: str, *, required: bool = False) -> tuple[str, ...]:
        got = value.get(key, [])
        if not isinstance(got, list) or not all(isinstance(v, str) for v in got) or (required and not got):
            raise self.wrong(key, "a list of texts", got)
        return tuple(got)

    def one_of(
        self, value: Mapping[str, object], key: str, allowed: tuple[str, ...], default: str | None = None
    ) -> str:
        got = value.get(key, default)
        if not isinstance(got, str) or got not in allowed:
            raise self.wrong(key, " | ".join(allowed), got)
        return got

    def number(self, value: Mapping[str, object], key: str) -> int:
        got = value.get(key)
        if isinstance(got, bool) or not isinstance(got, int) or not 0 <= got <= 1 << 20:
            raise self.wrong(key, "a whole number from 0 up", got)
        return got
