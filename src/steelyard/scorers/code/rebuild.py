"""The tree that is graded: the base, plus the contestant's allowed changes, plus the hidden files on top.

Not allowed unless the task says so: tests, configuration of the runner, conftest and plugins, start-up hooks of
the interpreter, caches, compiled code, git's state, links, and new modules that stand in the place of the
standard library's or the runner's.
"""

from __future__ import annotations

import fnmatch
import sys
from dataclasses import dataclass, field

from steelyard.sandbox.snapshot import Change, Item, Snapshot
from steelyard.scorers.code.instrument import is_test_file

_NAMES = {
    "conftest.py": "fixtures and hooks of the test runner",
    "pytest.ini": "configuration of the test runner",
    ".pytest.ini": "configuration of the test runner",
    "pytest.toml": "configuration of the test runner",
    ".pytest.toml": "configuration of the test runner",
    "tox.ini": "configuration of the test runner",
    "setup.cfg": "configuration of the test runner",
    "pyproject.toml": "configuration of the test runner",
    "noxfile.py": "configuration of the test runner",
    ".coveragerc": "configuration of the test runner",
    "sitecustomize.py": "a start-up hook of the interpreter",
    "usercustomize.py": "a start-up hook of the interpreter",
    "pyvenv.cfg": "a start-up hook of the interpreter",
}
_SUFFIXES = {
    ".pth": "a start-up hook of the interpreter",
    ".pyc": "compiled code",
    ".pyo": "compiled code",
    ".so": "compiled code",
    ".pyd": "compiled code",
    ".egg-link": "a start-up hook of the interpreter",
}
_DIRECTORIES = {
    ".git": "git's state",
    ".hg": "version control's state",
    ".svn": "version control's state",
    "__pycache__": "a cache",
    ".pytest_cache": "a cache",
    ".hypothesis": "a cache",
    ".venv": "an environment",
    "site-packages": "an environment",
}
_RUNNER = {
    "pytest",
    "_pytest",
    "pluggy",
    "iniconfig",
    "packaging",
    "py",
    "pygments",
    "codec",
    "coverage",
    "hypothesis",
}
_STANDARD = frozenset(sys.stdlib_module_names) | _RUNNER
INFRASTRUCTURE = frozenset(
    {
        "fixtures and hooks of the test runner",
        "configuration of the test runner",
        "a start-up hook of the interpreter",
    }
)


@dataclass(frozen=True, slots=True)
class Rules:
    """A task's own words: globs of paths that may change after all, and of more that may not."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    """When given, nothing else may change."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The tree to grade: `items`, and for each file the snapshot that has its content."""

    items: dict[str, Item]
    source: dict[str, Snapshot]
    taken: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]
    flags: tuple[str, ...] = field(default=())
    """What looks like an attempt on the tests."""

    def read(self, path: str) -> bytes:
        """A file's content."""
        return self.source[path].read(path)


def rebuild(base: Snapshot, workspace: Snapshot, hidden: Snapshot, rules: Rules | None = None) -> Rebuilt:
    """The graded tree."""
    rules = rules or Rules()
    items, source = dict(base.items), dict.fromkeys(base.items, base)
    taken, dropped, flags = [], [], []
    for path in [p for p in items if _history(p)]:
        del items[path], source[path]  # the code under test has no need of history or caches
    for change in base.to(workspace):
        why = _refusal(change, base, hidden, rules)
        if why:
            dropped.append((change.path, why))
            if why in INFRASTRUCTURE or why.startswith("a test"):
                flags.append(f"changed {change.path}: {why}")
        elif change.after is None:
            items.pop(change.path, None)
            source.pop(change.path, None)
            taken.append(change.path)
        else:
            items[change.path], source[change.path] = change.after, workspace
            taken.append(change.path)
    for path, item in hidden.items.items():
        _clear_way(path, item, items, source)
        items[path], source[path] = item, hidden
    return Rebuilt(items, source, tuple(taken), tuple(dropped), tuple(flags))


def _clear_way(path: str, item: Item, items: dict[str, Item], source: dict[str, Snapshot]) -> None:
    """A hidden file wins over a directory of its name, and a hidden directory over a file on its way."""
    parts = path.split("/")
    for i in range(1, len(parts)):
        above = "/".join(parts[:i])
        if above in items and items[above].kind != "dir":
            del items[above], source[above]
    if item.kind != "dir":
        for other in [p for p in items if p.startswith(path + "/")]:
            del items[other], source[other]


def _history(path: str) -> bool:
    return any(part in (".git", "__pycache__", ".pytest_cache") for part in path.split("/"))


def _refusal(change: Change, base: Snapshot, hidden: Snapshot, rules: Rules) -> str:
    """Why a change is not taken, or an empty string."""
    path = change.path
    if _matches(path, rules.deny):
        return "the task forbids it"
    if path in hidden.items and hidden.items[path].kind != "dir":
        return "a test: hidden files come from the grader"
    if _matches(path, rules.allow):
        return ""
    if rules.only and not _matches(path, rules.only):
        return "the task allows other files only"
    return _by_name(path) or _by_kind(change, base)


def _by_name(path: str) -> str:
    parts = path.split("/")
    for part in parts:
        if part.casefold() in _DIRECTORIES:
            return _DIRECTORIES[part.casefold()]
        if part.endswith((".egg-info", ".dist-info", ".egg")):
            return "a start-up hook of the interpreter"
    name = parts[-1].casefold()
    if name in _NAMES:
        return _NAMES[name]
    for suffix, why in _SUFFIXES.items():
        if name.endswith(suffix):
            return why
    if is_test_file(path) or "tests" in parts[:-1]:
        return "a test"
    return ""


def _by_kind(change: Change, base: Snapshot) -> str:
    path, item = change.path, change.after
    if item is not None and item.kind == "link":
        return "a link"
    stem = path.split("/")[-1].split(".")[0]
    parts = path.split("/")
    top = parts[0].split(".")[0]
    if item is not None and path not in base.items:
        if top in _STANDARD and path.endswith(".py") and parts[0] not in base.items:
            return "a module in the place of one of the interpreter's or the runner's"
        in_root = len(parts) == 2 and f"{parts[0]}/__init__.py" not in base.items
        if in_root and stem in _STANDARD and path.endswith(".py"):
            return "a module in the place of one of the interpreter's or the runner's"
    return ""


def _matches(path: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(path, glob) for glob in globs)
