"""The test driver: runs hidden tests with pytest and tells each verdict over a signed channel.

Descriptor 3 is the channel out, 4 brings the orders (then it is closed), 5, when the code under test runs in
another process, the line to it. Test files are compiled and emptied before any of them runs.
Exit status and printed text prove nothing and are not used.
"""

from __future__ import annotations

import ast
import ctypes
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

sys.path.insert(0, "/grader")
import pytest  # loaded before the tree can be imported from
import remote  # type: ignore[import-not-found]  # siblings, found where they are shown
import turning  # type: ignore[import-not-found]
from _pytest.assertion import rewrite

sys.path[:] = [p for p in sys.path if p != "/grader"]


class Sites:
    """The places in tests that can be turned: `value` changes what is expected, `truth` turns a condition."""

    def __init__(self, turned: frozenset[int], seed: int, literals: dict[str, str]) -> None:
        self.reached: list[int] = []
        reached = self.reached

        def value(expected: Any, site: int) -> Any:
            reached.append(site)
            return turning.other(expected, seed + site) if site in turned else expected

        def truth(held: Any, site: int) -> Any:
            reached.append(site)
            return not held if site in turned else held

        def end(site: int) -> None:
            reached.append(site)
            if site in turned:
                raise AssertionError("the end of a turned test")

        def raises(wanted: Any, site: int) -> Any:
            reached.append(site)
            return type(f"Error{seed + site}", (Exception,), {}) if site in turned else wanted

        def at(value: Any, site: int) -> Any:
            reached.append(site)
            return value

        def literal(site: int) -> Any:
            return ast.literal_eval(literals[str(site)])

        self.functions = {
            "value": value,
            "truth": truth,
            "end": end,
            "raises": raises,
            "at": at,
            "literal": literal,
        }


class Remote(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules of the tree whose functions are called in the other process."""

    def __init__(self, names: Sequence[str], fd: int, foreign: Callable[[str], None]) -> None:
        self.names, self.fd, self.foreign = set(names), fd, foreign
        self.parents = {name.rsplit(".", i)[0] for name in names for i in range(1, name.count(".") + 1)}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Ours for every module of the tree."""
        if fullname in self.names or fullname in self.parents:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname in self.parents)
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        """Attributes are made when asked for."""
        name = module.__name__

        def attribute(function: str) -> Any:
            if function.startswith("__"):
                raise AttributeError(function)

            return remote.caller(self.fd, name, function, self.foreign)

        module.__dict__["__getattr__"] = attribute


class Plugin:
    """Reports outcomes."""

    def __init__(self, tell: Callable[..., None], sites: Sites) -> None:
        self._tell, self._sites = tell, sites
        self._phases: dict[str, list[tuple[str, str, str]]] = {}

    def pytest_collectreport(self, report: Any) -> None:
        """A file that could not be collected."""
        if report.failed:
            self._tell(kind="uncollected", path=report.nodeid, why=str(report.longrepr)[-2000:])

    def pytest_collection_finish(self, session: Any) -> None:
        """Which tests there are."""
        self._tell(kind="collected", tests=[item.nodeid for item in session.items])

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        """A test begins; sites belong to it from here."""
        self._sites.reached.clear()
        self._phases[nodeid] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """One phase of a test."""
        why = "" if report.passed else str(report.longrepr)[-2000:]
        outcome = "xfail" if hasattr(report, "wasxfail") else report.outcome
        self._phases[report.nodeid].append((report.when, outcome, why))

    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        """A test has ended: passed only when each of its three phases did."""
        phases = self._phases.pop(nodeid)
        bad = [(when, outcome, why) for when, outcome, why in phases if outcome != "passed"]
        whens = [when for when, _, _ in phases]
        calls = set(whens[1:-1])  # several where a test has subtests, each of which reports
        passed = not bad and calls == {"call"} and (whens[0], whens[-1]) == ("setup", "teardown")
        when, outcome, why = bad[0] if bad else ("", "passed" if passed else "failed", "")
        reached = sorted(set(self._sites.reached))
        self._tell(kind="test", id=nodeid, outcome=outcome, when=when, why=why, sites=reached)


def _hide(paths: list[str]) -> None:
    """Compile the test files now and empty them: the code under test is imported after this."""
    original = rewrite._rewrite_test  # noqa: SLF001 - the one place where pytest reads a test file
    kept: dict[str, Any] = {}

    def ready(fn: Any, config: Any) -> Any:
        if not kept:
            for path in paths:
                try:
                    kept[path] = original(type(fn)(path), config)
                except SyntaxError as e:
                    kept[path] = e
            for path in paths:
                os.truncate(path, 0)  # pytest wants the file itself to stay
        found = kept.get(str(fn))
        if isinstance(found, SyntaxError):
            raise found
        return found if found is not None else original(fn, config)

    rewrite._rewrite_test = ready  # noqa: SLF001


def _is_here(plugin: str) -> bool:
    try:
        importlib.import_module(plugin)
    except ImportError:
        return False
    return True


def main() -> int:
    """Take the orders, run the tests, report."""
    with os.fdopen(4, "rb") as f:
        orders = json.loads(f.read())
    tell = remote.channel(3, bytes.fromhex(orders["key"]))
    sites = Sites(frozenset(orders["turned"]), orders["seed"], orders["literals"])
    helper = types.ModuleType(orders["helper"])
    for name, role in orders["names"].items():
        setattr(helper, name, sites.functions[role])
    sys.modules[orders["helper"]] = helper
    os.chdir(orders["root"])
    # Before the tree can be imported from: else it could hold a plugin of that name.
    plugins = [name for name in orders["plugins"] if _is_here(name)]
    if not orders["remote"]:
        sys.path[:0] = orders["paths"]
    sys.dont_write_bytecode = True
    if orders["remote"]:
        ctypes.CDLL(None).prctl(4, 0)  # not dumpable: nothing may read this process

        def foreign(what: str) -> None:
            tell(kind="foreign", what=what)
            os._exit(0)

        sys.meta_path.insert(0, Remote(orders["remote"], 5, foreign))
    _hide(orders["tests"])
    arguments = ["-p", "no:cacheprovider", "-o", "addopts=", "-q", "--tb=short", "--rootdir", orders["root"]]
    if orders["remote"]:
        arguments.append("--import-mode=importlib")
    arguments += [a for name in plugins for a in ("-p", name)]
    code = pytest.main([*arguments, *orders["tests"]], plugins=[Plugin(tell, sites)])
    tell(kind="finished", code=int(code))
    return 0


if __name__ == "__main__":
    os._exit(main())
