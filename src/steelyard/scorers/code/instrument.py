"""Hidden tests with places that can be turned: what is expected becomes wrong, a condition its opposite.

An honest solution must fail a turned test. The text of the tests is the same whether a place is turned or
not (that is decided by orders that the tests do not see), so code under test cannot tell a tripwire from
the real thing by reading. Statements that every run of a test must come through are marked too: a test that
passes without them was led round its assertions. Not turned: assertions inside `try`, inside functions within
tests, and inside `with pytest.raises`, where failing may be what the author wants.
"""

from __future__ import annotations

import ast
import fnmatch
from dataclasses import dataclass, field

from steelyard.errors import DataError
from steelyard.scorers.code.expected import Bound, Hide, calls, names

_SECOND = {  # unittest's comparisons: which argument is what is expected
    "assertEqual": 1,
    "assertAlmostEqual": 1,
    "assertListEqual": 1,
    "assertDictEqual": 1,
    "assertTupleEqual": 1,
    "assertSetEqual": 1,
    "assertCountEqual": 1,
    "assertSequenceEqual": 1,
    "assertMultiLineEqual": 1,
}
_TRUTH = {"assertTrue", "assertFalse"}
_PLAIN = {"open", "patch", "subTest", "catch_warnings", "TemporaryDirectory"}
"""Managers that swallow no exception: what is after them has come through all that is in them."""
_SKIPPING = {"skip", "skipif", "xfail", "skipIf", "skipUnless", "expectedFailure"}


@dataclass(frozen=True, slots=True)
class Names:
    """The helper module and its functions, under random names."""

    helper: str
    value: str
    truth: str
    end: str
    raises: str
    at: str
    literal: str

    def roles(self) -> dict[str, str]:
        """Name to role, as the driver wants it."""
        return {getattr(self, role): role for role in ("value", "truth", "end", "raises", "at", "literal")}


@dataclass
class Instrumented:
    """One test file: its new text, its test functions, its sites by kind."""

    text: str
    tests: list[str] = field(default_factory=list)
    """`name` or `Class::name`, without those that the author skips."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many cases a test has, where its parameters are written out."""
    sites: dict[int, str] = field(default_factory=dict)
    literals: dict[int, str] = field(default_factory=dict)
    """Constants that were taken out of what is expected."""
    must: dict[str, frozenset[int]] = field(default_factory=dict)
    """Places that a test which ends well has come through."""


def instrument(source: str, path: str, words: Names, first_site: int) -> Instrumented:
    """Rewrite one test file. Raises `DataError` when it is not Python."""
    try:
        tree = ast.parse(source, filename=path)
    except (SyntaxError, ValueError) as e:
        raise DataError("a hidden test file is not Python", where=path, got=str(e)) from e
    work = _Rewriter(words, first_site)
    marked = _marks_skip(_module_marks(tree))
    tests: list[str] = []
    counts: dict[str, int] = {}
    must: dict[str, frozenset[int]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            must[node.name] = work.function(node)
            _note(node, "", tests, counts)
        elif isinstance(node, ast.ClassDef):
            is_case = node.name.startswith("Test") or any("TestCase" in ast.dump(b) for b in node.bases)
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    must[f"{node.name}::{inner.name}"] = work.function(inner)
                    if is_case and not _marks_skip(node.decorator_list):
                        _note(inner, f"{node.name}::", tests, counts)
    at = _after_futures(tree)
    imported = [ast.alias(n) for n in words.roles()]
    tree.body.insert(at, ast.ImportFrom(words.helper, imported, 0))
    ast.fix_missing_locations(tree)
    return Instrumented(
        ast.unparse(tree) + "\n", [] if marked else tests, counts, work.sites, work.literals, must
    )


def is_test_file(path: str) -> bool:
    """Whether pytest collects a file of this name."""
    name = path.rsplit("/", 1)[-1]
    return fnmatch.fnmatch(name, "test_*.py") or fnmatch.fnmatch(name, "*_test.py")


def _note(
    node: ast.FunctionDef | ast.AsyncFunctionDef, prefix: str, tests: list[str], counts: dict[str, int]
) -> None:
    if not node.name.startswith("test") or _marks_skip(node.decorator_list):
        return
    name = prefix + node.name
    if name not in tests:
        tests.append(name)
    cases = 1
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and _last(mark.func) == "parametrize" and len(mark.args) >= 2:
            values = mark.args[1]
            if not isinstance(values, ast.List | ast.Tuple) or any(
                isinstance(v, ast.Starred) for v in values.elts
            ):
                return
            cases *= len(values.elts)
    counts[name] = cases


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _marks_skip(marks: list[ast.expr]) -> bool:
    return any(_last(m.func if isinstance(m, ast.Call) else m) in _SKIPPING for m in marks)


def _module_marks(tree: ast.Module) -> list[ast.expr]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(_last(t) == "pytestmark" for t in node.targets):
            return list(node.value.elts) if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
    return []


def _after_futures(tree: ast.Module) -> int:
    at = 0
    for i, node in enumerate(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            at = i + 1
        elif i == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            at = 1
    return at


class _Rewriter:
    def __init__(self, words: Names, first_site: int) -> None:
        self.words, self.next = words, first_site
        self.sites: dict[int, str] = {}
        self.literals: dict[int, str] = {}
        self.bound = Bound()
        self.must: set[int] = set()
        self.sure = False

    def _call(self, role: str, *args: ast.expr) -> ast.Call:
        site = self.next
        self.next += 1
        if role not in ("at", "literal"):
            self.sites[site] = role
        if self.sure:
            self.must.add(site)
        name = ast.Name(getattr(self.words, role), ast.Load())
        return ast.Call(name, [*args, ast.Constant(site)], [])

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[int]:
        """Rewrite a test or a helper of the test file; the places that no good end can leave out."""
        fixture = any("fixture" in ast.dump(d) for d in node.decorator_list)
        if fixture or any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(node)):
            return frozenset()
        self.must = set()
        sure = not any(isinstance(n, ast.Return) for n in ast.walk(node))
        self.bound = Bound.of(node, _SECOND)
        first = int(ast.get_docstring(node, clean=False) is not None)
        self._body(node.body, sure=sure)
        if self.bound.only:
            self.sure = sure
            given = [a.arg for a in (*node.args.args, *node.args.kwonlyargs) if a.arg in self.bound.only]
            node.body[first:first] = self._turned(given)
        if node.name.startswith("test"):
            self._returns(node.body, turns=True)
            self.sure = sure
            node.body.append(ast.Expr(self._call("end")))
            self.sure = False
        return frozenset(self.must)

    def _returns(self, body: list[ast.stmt], *, turns: bool) -> None:
        """An early return is an end too; where its failure could be caught it is marked only."""
        self.sure = False
        for i in range(len(body) - 1, -1, -1):
            statement = body[i]
            if isinstance(statement, ast.Return):
                end = self._call("end") if turns else self._call("at", ast.Constant(None))
                body.insert(i, ast.Expr(end))
            elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                below = turns and isinstance(statement, ast.For | ast.While | ast.If)
                for part in ("body", "orelse", "finalbody"):
                    self._returns(getattr(statement, part, []), turns=below)
                for part in ("handlers", "cases"):
                    for branch in getattr(statement, part, []):
                        self._returns(branch.body, turns=False)

    def _body(self, body: list[ast.stmt], *, sure: bool = False) -> None:
        """`sure`: whoever comes to the end of these statements has come through each."""
        for statement in body:
            self.sure = sure
            if sure:
                self._at(statement)
            if isinstance(statement, ast.Assert):
                statement.test = self._condition(statement.test)
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                self._unittest(statement.value)
            elif isinstance(statement, ast.Assign):
                target = statement.targets[0] if len(statement.targets) == 1 else None
                if isinstance(target, ast.Name) and target.id in self.bound.only:
                    statement.value = self._call("value", self._hidden(statement.value))
            elif isinstance(statement, ast.With | ast.AsyncWith):
                self._with(statement, sure=sure)
            elif isinstance(statement, ast.For | ast.AsyncFor | ast.While | ast.If):
                self._body(statement.body)
                self._body(statement.orelse)
                self.sure = False
                if isinstance(statement, ast.For | ast.AsyncFor):
                    wanted = [n for n in names(statement.target) if n in self.bound.only]
                    statement.body[:0] = self._turned(wanted)
        self.sure = False

    def _turned(self, bound: list[str]) -> list[ast.stmt]:
        """Statements that turn variables where they have just been bound."""
        return [
            ast.Assign([ast.Name(n, ast.Store())], self._call("value", ast.Name(n, ast.Load())))
            for n in bound
        ]

    def _hidden(self, expected: ast.expr) -> ast.expr:
        """The same value, its constants no longer in the text."""

        def put(node: ast.Constant) -> ast.expr:
            sure, self.sure = self.sure, False
            call = self._call("literal")
            self.sure = sure
            self.literals[self.next - 1] = repr(node.value)
            return call

        hidden: ast.expr = Hide(put).visit(expected)
        return hidden

    def _at(self, statement: ast.stmt) -> None:
        """Mark a statement by the value that it works on."""
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr) or (
            isinstance(statement, ast.AnnAssign) and statement.value
        ):
            value = statement.value
            kept = isinstance(value, ast.Constant | ast.Await) or (
                isinstance(value, ast.Call) and _last(value.func) in (*_SECOND, *_TRUTH)
            )
            target = statement.targets[0] if isinstance(statement, ast.Assign) else None
            kept = kept or (isinstance(target, ast.Name) and target.id in self.bound.only)
            if value is not None and not kept:
                statement.value = self._call("at", value)
        elif isinstance(statement, ast.For):
            statement.iter = self._call("at", statement.iter)

    def _condition(self, test: ast.expr) -> ast.expr:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            test.values = [self._condition(v) for v in test.values]
            return test
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            side = self.bound.side(test)
            if isinstance(side, ast.Name) and side.id in self.bound.only:
                return test  # turned where it is bound
            if side is test.left:
                test.left = self._call("value", self._hidden(test.left))
            else:
                test.comparators = [self._call("value", self._hidden(test.comparators[0]))]
            return test
        if isinstance(test, ast.Compare):
            test.comparators = [c if calls(c) else self._hidden(c) for c in test.comparators]
        return self._call("truth", test)

    def _unittest(self, call: ast.Call) -> None:
        name = _last(call.func)
        if name in _SECOND and len(call.args) > _SECOND[name]:
            side = call.args[_SECOND[name]]
            if not (isinstance(side, ast.Name) and side.id in self.bound.only):
                call.args[_SECOND[name]] = self._call("value", self._hidden(side))
        elif name in _TRUTH and call.args:
            call.args[0] = self._call("truth", call.args[0])

    def _with(self, statement: ast.With | ast.AsyncWith, *, sure: bool) -> None:
        inside = True
        plain = all(
            isinstance(i.context_expr, ast.Call) and _last(i.context_expr.func) in _PLAIN
            for i in statement.items
        )
        for item in statement.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and _last(call.func) in (
                "raises",
                "assertRaises",
                "suppress",
                "warns",
            ):
                inside = False
                if _last(call.func) in ("raises", "assertRaises") and call.args:
                    call.args[0] = self._call("raises", call.args[0])
        if inside:
            self._body(statement.body, sure=sure and plain)
