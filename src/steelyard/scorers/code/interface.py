"""Whether tests use the code under test only by calling its functions with plain values.

Then the code can live in another process, in another sandbox, without any hidden file: it sees arguments and
gives values, and nothing that it does to its own interpreter reaches the tests. Anything else (classes, names
that are not called, fixtures of files or patches, unknown modules) is answered with the reason, and the tests run
in one process with tripwires.
"""

from __future__ import annotations

import ast

_HARMLESS = {
    "__future__", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "functools", "itertools", "json", "math", "operator", "pytest", "random", "re", "statistics", "string",
    "textwrap", "time", "typing", "unittest",
}  # fmt: skip


def callable_only(sources: dict[str, str], modules: set[str]) -> tuple[list[str], str]:
    """(modules of the tree that the tests call into, "") or ([], reason).

    `sources` are the test files by path, `modules` the importable names of the tree.
    """
    used: set[str] = set()
    for path, source in sources.items():
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            return [], f"{path} is not Python"
        reader = _Reader(modules)
        reader.visit(tree)
        if reader.why:
            return [], f"{path}: {reader.why}"
        used |= reader.used
    return (sorted(used), "") if used else ([], "no function of the tree is called")


class _Reader(ast.NodeVisitor):
    def __init__(self, modules: set[str]) -> None:
        self.modules, self.used, self.why = modules, set[str](), ""
        self.functions: set[str] = set()
        self.aliases: set[str] = set()
        self.fixtures: set[str] = set()

    def visit_Module(self, node: ast.Module) -> None:
        for inner in ast.walk(node):
            if isinstance(inner, ast.FunctionDef) and any(
                "fixture" in ast.dump(d) for d in inner.decorator_list
            ):
                self.fixtures.add(inner.name)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            if name.name in self.modules:
                if "." in name.name and not name.asname:
                    self.why = self.why or f"`import {name.name}` binds a package"
                self.used.add(name.name)
                self.aliases.add(name.asname or name.name)
            elif name.name.split(".")[0] not in _HARMLESS:
                self.why = self.why or f"it imports {name.name}"

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level == 0 and module in self.modules:
            self.used.add(module)
            for name in node.names:
                if name.name == "*" or f"{module}.{name.name}" in self.modules:
                    self.why = self.why or f"it imports {name.name} from {module}"
                self.functions.add(name.asname or name.name)
        elif node.level or module.split(".")[0] not in _HARMLESS or (module == "unittest" and node.names):
            self.why = self.why or f"it imports from {'.' * node.level}{module}"

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        plain = isinstance(function, ast.Name) and function.id in self.functions
        dotted = (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id in self.aliases
        )
        if not (plain or dotted):
            self.visit(function)
        elif self._is_class(function):
            self.why = self.why or "it makes objects of a class"
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            self.visit(keyword.value)

    @staticmethod
    def _is_class(function: ast.expr) -> bool:
        if isinstance(function, ast.Attribute):
            return function.attr[:1].isupper()
        return isinstance(function, ast.Name) and function.id[:1].isupper()

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in self.functions or node.id in self.aliases:
            self.why = self.why or f"{node.id} is used without being called"
        elif node.id in ("open", "exec", "eval", "input", "globals", "vars", "id"):
            self.why = self.why or f"it uses {node.id}"

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        wanted = {a.arg for a in (*node.args.args, *node.args.kwonlyargs)}
        given = set(self.fixtures)
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("parametrize") and mark.args:
                names = mark.args[0]
                if isinstance(names, ast.Constant) and isinstance(names.value, str):
                    given |= {n.strip() for n in names.value.split(",")}
                elif isinstance(names, ast.List | ast.Tuple):
                    given |= {str(n.value) for n in names.elts if isinstance(n, ast.Constant)}
        if node.name.startswith("test") and wanted - given - {"self"}:
            self.why = self.why or f"it uses the fixture {min(wanted - given - {'self'})}"
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.why = self.why or "it is asynchronous"
