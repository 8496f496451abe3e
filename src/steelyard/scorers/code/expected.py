"""Which names and constants of a test are what it expects: they must not stand where the code under test can look.

A frame that calls the code shows its constants and its variables. So the constants of what is expected are taken out of
the text, and a variable that is only ever expected is turned where it is bound: code that hands back what it found
in its caller's frame then passes a turned test. Not covered: values inside objects, helpers of other files.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass, field

_MOST_BITS = 10_000  # Python reads no longer number from a text
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Bound:
    """Names of one function: `only` are used as what is expected and nothing else, `computed` come from a call."""

    only: set[str] = field(default_factory=set)
    computed: set[str] = field(default_factory=set)

    @staticmethod
    def of(node: Function, second: dict[str, int]) -> Bound:
        """Look through a function. `second` says which argument of a unittest method is what is expected."""
        stores: dict[str, int] = {a.arg: 1 for a in (*node.args.args, *node.args.kwonlyargs)}
        loads: dict[str, int] = {}
        bound = Bound()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                count = loads if isinstance(inner.ctx, ast.Load) else stores
                count[inner.id] = count.get(inner.id, 0) + 1
            elif isinstance(inner, ast.Global | ast.Nonlocal):
                stores |= dict.fromkeys(inner.names, 2)
            elif isinstance(inner, ast.Assign) and calls(inner.value):
                bound.computed |= {t.id for t in inner.targets if isinstance(t, ast.Name)}
        expected: dict[str, int] = {}
        for inner in ast.walk(node):
            side = None
            if isinstance(inner, ast.Compare) and len(inner.ops) == 1 and isinstance(inner.ops[0], ast.Eq):
                side = bound.side(inner)
            elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
                at = second.get(inner.func.attr, 99)
                side = inner.args[at] if len(inner.args) > at else None
            if isinstance(side, ast.Name):
                expected[side.id] = expected.get(side.id, 0) + 1
        within = {a.arg for a in (*node.args.args, *node.args.kwonlyargs)} | _bound_plainly(node.body)
        bound.only = {
            n for n, k in expected.items() if n in within and k == loads.get(n) and stores.get(n) == 1
        }
        return bound

    def side(self, test: ast.Compare) -> ast.expr:
        """What is expected is rather the side that calls nothing, or was not computed; else the right one."""
        left, right = test.left, test.comparators[0]
        by_name = self._made(right) and isinstance(left, ast.Name) and not self._made(left)
        return left if (calls(right) and not calls(left)) or (by_name and not calls(left)) else right

    def _made(self, side: ast.expr) -> bool:
        return isinstance(side, ast.Name) and side.id in self.computed


def _bound_plainly(body: list[ast.stmt]) -> set[str]:
    """Names that a loop or a plain assignment binds, where both are seen by whoever turns them."""
    found: set[str] = set()
    for statement in body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            found |= {t.id for t in statement.targets if isinstance(t, ast.Name)}
        elif isinstance(statement, ast.For | ast.AsyncFor | ast.While | ast.If):
            if isinstance(statement, ast.For | ast.AsyncFor):
                found |= set(names(statement.target))
            found |= _bound_plainly(statement.body) | _bound_plainly(statement.orelse)
    return found


def calls(node: ast.expr) -> bool:
    """Whether something is called in an expression."""
    return any(isinstance(n, ast.Call) for n in ast.walk(node))


def names(target: ast.expr) -> list[str]:
    """The plain names that a target binds."""
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    return [p.id for p in parts if isinstance(p, ast.Name)]


class Hide(ast.NodeTransformer):
    """Takes the constants out of an expression; `put` keeps one and gives the call that returns it."""

    def __init__(self, put: Callable[[ast.Constant], ast.expr]) -> None:
        self._put = put

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """Texts and numbers; None and the truth values tell nothing."""
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float | str | bytes):
            return node
        if isinstance(value, float) and not math.isfinite(value):
            return node  # has no text of its own
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            return node
        return self._put(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        """Its constants are syntax."""
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        """Left alone: its defaults are evaluated elsewhere."""
        return node
