"""Hidden tests with places that can be turned: what is expected becomes wrong, a condition its opposite.

An honest solution must fail a turned test. The text of the tests is the same whether a place is turned or
not (that is decided by orders that the tests do not see), so code under test cannot tell a tripwire from
the real thing by reading. Not turned: assertions inside `try`, inside functions within tests, and inside
`with pytest.raises`, where failing may be what the author wants.
"""

from __future__ import annotations

import ast
import fnmatch
from dataclasses import dataclass, field

from steelyard.errors import DataError

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
_SKIPPING = {"skip", "skipif", "xfail", "skipIf", "skipUnless", "expectedFailure"}


@dataclass(frozen=True, slots=True)
class Names:
    """The helper module and its functions, under random names."""

    helper: str
    value: str
    truth: str
    end: str
    raises: str

    def roles(self) -> dict[str, str]:
        """Name to role, as the driver wants it."""
        return {self.value: "value", self.truth: "truth", self.end: "end", self.raises: "raises"}


@dataclass
class Instrumented:
    """One test file: its new text, its test functions, its sites by kind."""

    text: str
    tests: list[str] = field(default_factory=list)
    """`name` or `Class::name`, without those that the author skips."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many cases a test has, where its parameters are written out."""
    sites: dict[int, str] = field(default_factory=dict)


def instrument(source: str, path: str, names: Names, first_site: int) -> Instrumented:
    """Rewrite one test file. Raises `DataError` when it is not Python."""
    try:
        tree = ast.parse(source, filename=path)
    except (SyntaxError, ValueError) as e:
        raise DataError("a hidden test file is not Python", where=path, got=str(e)) from e
    work = _Rewriter(names, first_site)
    marked = _marks_skip(_module_marks(tree))
    tests: list[str] = []
    counts: dict[str, int] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            work.function(node)
            _note(node, "", tests, counts)
        elif isinstance(node, ast.ClassDef):
            is_case = node.name.startswith("Test") or any("TestCase" in ast.dump(b) for b in node.bases)
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    work.function(inner)
                    if is_case and not _marks_skip(node.decorator_list):
                        _note(inner, f"{node.name}::", tests, counts)
    at = _after_futures(tree)
    imported = [ast.alias(n) for n in (names.value, names.truth, names.end, names.raises)]
    tree.body.insert(at, ast.ImportFrom(names.helper, imported, 0))
    ast.fix_missing_locations(tree)
    return Instrumented(ast.unparse(tree) + "\n", [] if marked else tests, counts, work.sites)


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
    def __init__(self, names: Names, first_site: int) -> None:
        self.names, self.next = names, first_site
        self.sites: dict[int, str] = {}

    def _call(self, role: str, *args: ast.expr) -> ast.Call:
        site = self.next
        self.next += 1
        self.sites[site] = role
        name = ast.Name(getattr(self.names, role), ast.Load())
        return ast.Call(name, [*args, ast.Constant(site)], [])

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Rewrite a test or a helper of the test file."""
        fixture = any("fixture" in ast.dump(d) for d in node.decorator_list)
        if fixture or any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(node)):
            return
        self._body(node.body)
        if node.name.startswith("test"):
            node.body.append(ast.Expr(self._call("end")))

    def _body(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, ast.Assert):
                statement.test = self._condition(statement.test)
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                self._unittest(statement.value)
            elif isinstance(statement, ast.With | ast.AsyncWith):
                self._with(statement)
            elif isinstance(statement, ast.For | ast.AsyncFor | ast.While | ast.If):
                self._body(statement.body)
                self._body(statement.orelse)

    def _condition(self, test: ast.expr) -> ast.expr:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            test.values = [self._condition(v) for v in test.values]
            return test
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            # What is expected is rather the side that calls nothing; else the right one.
            left_calls = any(isinstance(n, ast.Call) for n in ast.walk(test.left))
            right_calls = any(isinstance(n, ast.Call) for n in ast.walk(test.comparators[0]))
            if right_calls and not left_calls:
                test.left = self._call("value", test.left)
            else:
                test.comparators = [self._call("value", test.comparators[0])]
            return test
        return self._call("truth", test)

    def _unittest(self, call: ast.Call) -> None:
        name = _last(call.func)
        if name in _SECOND and len(call.args) > _SECOND[name]:
            call.args[_SECOND[name]] = self._call("value", call.args[_SECOND[name]])
        elif name in _TRUTH and call.args:
            call.args[0] = self._call("truth", call.args[0])

    def _with(self, statement: ast.With | ast.AsyncWith) -> None:
        inside = True
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
            self._body(statement.body)
