"""The risk policy of tool calls: rules of allow, ask, deny; the first that matches decides. Pure.

Not covered: a rule reads a command, it does not run it. `deny` on a command can be evaded by a contestant that hides
what it does (a script that it writes first, an encoding); isolation is the sandbox's, a rule says what is wanted.

A condition of `ask` and `deny` holds when any part of the call meets it; one of `allow` only when every part does, so
that `allow: git *` does not let `git status; rm -rf .` through. All conditions of a rule must hold.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

Action = Literal["allow", "ask", "deny"]
_SEPARATORS = re.compile(r"\n|;|&&|\|\||\||&(?!>)")
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]+")
_SUBSTITUTION = ("$(", "`", "<(", ">(")
WORKSPACE = "/workspace"
"""Where paths that do not begin with a slash are taken to lie."""
_PATH_KEYS = ("path", "file", "filename", "directory", "dir", "folder")


class Rule(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """`do` when all that is given holds. `tool`, `command`, `path`, `host` are globs, `command_regex` is searched for;
    `money` holds once the trial has spent so many dollars. `because` is told to the model when it denies."""

    do: Action
    tool: str = ""
    command: str = ""
    command_regex: str = ""
    path: str = ""
    host: str = ""
    money: float | None = None
    because: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """A call as rules see it. `parts` are its simple commands; `whole` is False when it holds a substitution that
    could hide another command."""

    tool: str
    command: str = ""
    parts: tuple[str, ...] = ()
    whole: bool = True
    paths: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, and the number (from 1) of the rule that said so; 0 is the default."""

    do: Action
    rule: int = 0
    because: str = ""


def act_of(tool: str, arguments: Mapping[str, object], spent: float, hosts: Iterable[str] = ()) -> Act:
    """What rules look at. `hosts` are those that the tool itself talks to (an MCP server's)."""
    texts = list(_texts(arguments))
    command = str(arguments.get("command", "")) if tool == "bash" else ""
    if tool == "plan":  # a plan is judged by its steps
        command = "\n".join(_texts(arguments.get("steps")))
    words = _words(command)
    named = [str(v) for k, v in arguments.items() if k in _PATH_KEYS and isinstance(v, str)]
    return Act(
        tool=tool,
        command=command,
        parts=tuple(p for p in (part.strip() for part in _SEPARATORS.split(command)) if p),
        whole=not any(mark in command for mark in _SUBSTITUTION),
        paths=tuple(dict.fromkeys([*named, *(w for w in words if "/" in w and "://" not in w)])),
        bare=tuple(dict.fromkeys(w for w in words[1:] if "/" not in w and not w.startswith("-"))),
        hosts=tuple(dict.fromkeys([*hosts, *_hosts(texts)])),
        spent=spent,
    )


def decide(rules: Iterable[Rule], act: Act, otherwise: Action = "allow") -> Decision:
    """The first rule that matches, else `otherwise`."""
    for number, rule in enumerate(rules, 1):
        if _matches(rule, act):
            return Decision(rule.do, number, rule.because)
    return Decision(otherwise)


def _matches(rule: Rule, act: Act) -> bool:
    """All conditions that the rule gives hold."""
    every = rule.do == "allow"

    def some(values: tuple[str, ...], holds: Callable[[str], bool]) -> bool:
        return bool(values) and (all if every else any)(holds(v) for v in values)

    if rule.tool and not fnmatchcase(act.tool, rule.tool):
        return False
    if rule.money is not None and act.spent < rule.money:
        return False
    if rule.command or rule.command_regex:
        if every and not act.whole:
            return False
        shown = act.parts if every else (act.command.strip(), *act.parts)
        if rule.command and not some(shown, lambda v: fnmatchcase(v, rule.command)):
            return False
        if rule.command_regex and not some(shown, lambda v: re.search(rule.command_regex, v) is not None):
            return False
    if rule.path and not some(act.paths, lambda v: _path_meets(v, rule.path, every=every)):
        # a word without a slash may name a file of the workspace: enough to forbid it, not to allow it
        absolute = not every and rule.path.startswith("/")
        if not (absolute and any(_path_meets(v, rule.path, every=False) for v in act.bare)):
            return False
    return not rule.host or some(act.hosts, lambda v: fnmatchcase(v, rule.host))


def _path_meets(path: str, pattern: str, *, every: bool) -> bool:
    """Whether a path, as written or as it lies from the workspace, meets the pattern. What is to be allowed (`every`)
    must meet it with its `..` resolved."""
    whole = posixpath.normpath(posixpath.join(WORKSPACE, path))
    forms = {whole, *((path,) if not every or ".." not in path.split("/") else ())}
    if whole.startswith(f"{WORKSPACE}/"):
        forms.add(whole[len(WORKSPACE) + 1 :])
    return any(fnmatchcase(form, pattern) for form in forms)


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _words(command: str) -> list[str]:
    try:
        found = shlex.split(command, comments=False)
    except ValueError:  # an open quote: the shell will refuse it too
        found = command.split()
    return [w.lstrip("<>&0123456789") if w[:1] in "<>&" else w for w in found]


def _hosts(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        for url in _URL.findall(text):
            try:
                host = urlsplit(url).hostname
            except ValueError:
                continue
            if host:
                yield host
