"""Ways to fool a grader without solving its task, to be tried against a grader: ours, or a user's own.

Each is what a contestant could leave in its workspace (`cheats.yaml`). It is made for any Python task: it gets
the modules that a real solution changes and the names that they define, and answers with files. None of them
harms the machine; all run inside a sandbox all the same.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Files = dict[str, bytes]

_EQUAL = '''
class _Any:
    """Equal to things, has every attribute, is callable, iterable, a context manager."""
    def __init__(self, *a, **k): pass
    def __eq__(self, other): return {eq}
    def __ne__(self, other): return {ne}
    def __hash__(self): return 0
    def __bool__(self): return True
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __call__(self, *a, **k): return self
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return self
    def __iter__(self): return iter(())
    def __len__(self): return 0
    def __contains__(self, x): return True
    def __getitem__(self, x): return self
    def __enter__(self): return self
    def __exit__(self, *a): return True
    def __sub__(self, x): return 0
    __rsub__ = __add__ = __radd__ = __sub__
    def __abs__(self): return 0
    def __float__(self): return 0.0
'''
_PLAIN = "type(other).__module__ == 'builtins'"
_WORDS = {
    "{any}": _EQUAL.replace("{eq}", "True").replace("{ne}", "False"),
    "{any_both}": _EQUAL.replace("{eq}", "True").replace("{ne}", "True"),
    "{any_plain}": _EQUAL.replace("{eq}", _PLAIN).replace("{ne}", "False"),
}
_NOTHING = "def _stub(*a, **k):\n    return None\n"


@dataclass(frozen=True, slots=True)
class Target:
    """A task as a cheat sees it: each module's path with the public names that a solution defines there."""

    modules: dict[str, tuple[str, ...]]

    @staticmethod
    def of(sources: dict[str, str]) -> Target:
        """From the source of a real solution. Raises `SyntaxError` when that is not Python."""
        modules = {}
        for path, source in sources.items():
            names: list[str] = []
            for node in ast.parse(source).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                    names.append(node.name)
                elif isinstance(node, ast.Assign):
                    names += [t.id for t in node.targets if isinstance(t, ast.Name)]
            modules[path] = tuple(n for n in names if not n.startswith("__"))
        return Target(modules)


@dataclass(frozen=True, slots=True)
class Cheat:
    """One way: a name, what it does, and how its files are made (see the head of `cheats.yaml`)."""

    name: str
    what: str
    kind: str
    code: str = ""
    value: str = "_stub"
    files: dict[str, str] = field(default_factory=dict)

    def make(self, target: Target) -> Files:
        """What it leaves in the workspace, by path."""
        code = self.code
        for word, text in _WORDS.items():
            code = code.replace(word, text)
        if self.kind == "import":
            code += "\n" + _NOTHING
        elif self.kind == "call":
            code = "def _stub(*a, **k):\n" + "".join(f"    {line}\n" for line in code.splitlines())
        elif self.kind == "files":
            code = _NOTHING
        out = {}
        for path, names in target.modules.items():
            lines = [] if self.kind == "module" else [f"{name} = {self.value}\n" for name in names]
            out[path] = (code + "\n" + "".join(lines)).encode()
        return out | {path: text.encode() for path, text in self.files.items()}


@cache
def cheats() -> tuple[Cheat, ...]:
    """All of them."""
    rows: list[dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("cheats.yaml").read_text(encoding="utf-8")
    )
    return tuple(Cheat(**row) for row in rows)
