"""List or run the benchmarks. Each says its caveats first and which peers it did not find.

usage: python -m bench                      run all of them
       python -m bench --list               their names and first lines
       python -m bench NAME [options]       run one; options go to it (try --help)
"""

from __future__ import annotations

import ast
import pkgutil
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    """Packages below `bench` with a `__main__`, and other modules there that define `main`."""
    found = []
    for package in sorted(p.parent for p in HERE.glob("*/__init__.py")):
        modules = [m.name for m in pkgutil.iter_modules([str(package)])]
        if "__main__" in modules:
            found.append(package.name)
            continue
        for name in modules:
            tree = ast.parse((package / f"{name}.py").read_text())
            has_main = any(isinstance(n, ast.FunctionDef) and n.name == "main" for n in tree.body)
            if has_main and not name.endswith("_worker"):
                found.append(f"{package.name}.{name}")
    return found


def summary(name: str) -> str:
    """The first line of a bench's docstring, read without importing it."""
    path = HERE / name.replace(".", "/")
    source = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(source.read_text())) or "").splitlines()[0]


def run(name: str, arguments: list[str]) -> int:
    """Run a bench as `python -m bench.NAME` would."""
    sys.argv = [f"bench {name}", *arguments]
    try:
        runpy.run_module(f"bench.{name}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--list"]:
        for name in names():
            print(f"{name:16} {summary(name)}")
        return 0
    if arguments and arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    if arguments and arguments[0] not in names():
        print(f"no bench {arguments[0]!r}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    worst = 0
    for name in arguments[:1] or names():
        print(f"\n== {name}", flush=True)
        worst = max(worst, run(name, arguments[1:]))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
