"""Run a single answer's code against its tests: each case's verdict, time and memory.

The code runs in another process than the tests, in the same sandbox, and gets only arguments. Where more than
plain values are exchanged, one process holds both; then an answer that passes is run again with every case
turned, which an honest answer fails. Residual risk: code that is written against this very file.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from steelyard.errors import DataError
from steelyard.sandbox.base import Command, Ended, Usage
from steelyard.sandbox.box import NamespaceBox
from steelyard.sandbox.profile import MIB, Limits, Mount, Profile
from steelyard.scorers.code.channel import INSIDE

if TYPE_CHECKING:
    from steelyard.scorers.code.python import Python

LIMITS = Limits(
    processes=64, memory=512 * MIB, memory_guarantee=64 * MIB, wall_s=10.0, workspace=16 * MIB, output=MIB
)
_FENCE = re.compile(r"```[ \t]*([\w+-]*)[ \t]*\r?\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of one answer. `cases` maps each assertion, in order, to whether it held."""

    passed: bool
    cases: dict[int, bool] = field(default_factory=dict)
    reason: str = ""
    mode: str = ""
    ended: Ended = Ended.EXITED
    usage: Usage | None = None
    tampered: bool = False


def code_of(text: str) -> str:
    """The code in a reply: its last fenced block that is Python or unnamed, else all of it."""
    blocks = [body for name, body in _FENCE.findall(text) if name.lower() in ("", "py", "python", "python3")]
    return blocks[-1] if blocks else text


def complete(code: str, prompt: str, entry: str) -> str:
    """The whole program: the code itself when it defines `entry`, else the prompt continued by it."""
    defined = re.search(
        rf"^(async\s+def|def|class)\s+{re.escape(entry)}\b|^{re.escape(entry)}\s*=", code, re.MULTILINE
    )
    if defined:
        # Imports and helpers that the prompt gives belong to the program too.
        head = prompt[: _start_of(prompt, entry)]
        return f"{head}\n{code}" if head.strip() and head.strip() not in code else code
    return prompt + code


def _start_of(prompt: str, entry: str) -> int:
    found = re.search(rf"^def\s+{re.escape(entry)}\b", prompt, re.MULTILINE)
    return found.start() if found else 0


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of one task, ready to run: assertions became cases."""

    text: str
    case: str
    count: int

    @staticmethod
    def of(tests: str, entry: str) -> Suite:
        """From assertions or a `check(candidate)` function. Raises `DataError` when it is not Python, or empty."""
        try:
            tree = ast.parse(tests)
        except (SyntaxError, ValueError) as e:
            raise DataError("the tests of a code task are not Python", got=str(e)) from e
        name = f"c{secrets.token_hex(6)}"
        turner = _Cases(name)
        tree = turner.visit(tree)
        if not turner.count:
            raise DataError("the tests of a code task hold no assertion")
        calls = {
            n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        if (
            any(isinstance(n, ast.FunctionDef) and n.name == "check" for n in tree.body)
            and "check" not in calls
        ):
            tree.body += ast.parse(f"check({entry})").body
        ast.fix_missing_locations(tree)
        return Suite(ast.unparse(tree), name, turner.count)


class _Cases(ast.NodeTransformer):
    def __init__(self, name: str) -> None:
        self.name, self.value, self.count = name, f"v{name}", 0

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        number = self.count
        self.count += 1
        if (
            isinstance(node.test, ast.Compare)
            and len(node.test.ops) == 1
            and isinstance(node.test.ops[0], ast.Eq)
        ):
            wanted = ast.Call(
                ast.Name(self.value, ast.Load()), [node.test.comparators[0], ast.Constant(number)], []
            )
            node.test.comparators = [wanted]
        arguments = ast.arguments([], [], None, [], [], None, [])
        call = ast.Call(
            ast.Name(self.name, ast.Load()), [ast.Constant(number), ast.Lambda(arguments, node.test)], []
        )
        return ast.copy_location(ast.Expr(call), node)


def run_cases(code: str, suite: Suite, python: Python, limits: Limits = LIMITS) -> Tested:
    """Run the cases. Raises `SandboxError` when no sandbox could be had; everything else is the answer's."""
    first = _run(code, suite, python, limits, together=False)
    if first.reason != "foreign":
        return first
    both = _run(code, suite, python, limits, together=True)
    if not both.passed:
        return both
    again = _run(code, suite, python, limits, together=True, turned=True)
    if any(again.cases.values()) or len(again.cases) != len(both.cases):
        return Tested(
            False, both.cases, "it passed cases that were made wrong", both.mode, both.ended, both.usage, True
        )
    return both


def _run(
    code: str, suite: Suite, python: Python, limits: Limits, *, together: bool, turned: bool = False
) -> Tested:
    key = secrets.token_bytes(32)
    mounts = (Mount(str(INSIDE), "/grader"), *python.mounts)
    profile = Profile(limits=limits, mounts=mounts, env=(("PYTHONHASHSEED", "0"),))
    orders = {
        "key": key.hex(),
        "tests": suite.text,
        "case": suite.case,
        "value": f"v{suite.case}",
        "turned": list(range(suite.count)) if turned else [],
    }
    parts = [json.dumps(m).encode() for m in ({"code": code, "together": together}, orders)]
    data = b"".join(len(p).to_bytes(8, "big") + p for p in parts)
    verdict = os.memfd_create("verdict", os.MFD_CLOEXEC)
    given = os.memfd_create("orders", os.MFD_CLOEXEC)
    try:
        os.write(given, data)
        os.lseek(given, 0, os.SEEK_SET)
        with NamespaceBox(profile, oneshot=True) as box:
            argv = (python.path, "-I", "-S", "-B", "/grader/answer.py")
            result = box.execute(Command(argv), more=[verdict, given])
        raw = os.pread(verdict, 16 << 20, 0)
    finally:
        os.close(verdict)
        os.close(given)
    mode = "one process" if together else "isolated"
    return _conclude(raw, key, suite, Tested(False, {}, "", mode, result.ended, result.usage))


def _conclude(raw: bytes, key: bytes, suite: Suite, run: Tested) -> Tested:
    cases: dict[int, bool] = {}
    reason, finished, serial = "", False, 0
    for line in raw.split(b"\n"):
        mark, _, body = line.partition(b" ")
        good = hmac.new(key, body, hashlib.sha256).hexdigest().encode()
        if not hmac.compare_digest(mark, good):
            continue
        note: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            note = json.loads(body)
        if note.get("serial") != serial + 1:
            continue
        serial += 1
        if note["kind"] == "case":
            held = bool(note["held"])
            # A case inside a loop counts as held only when it held each time.
            cases[note["number"]] = cases.get(note["number"], True) and held
            reason = reason or ("" if held else f"case {note['number']}: {note['why'] or 'it did not hold'}")
        elif note["kind"] == "finished":
            finished = True
        elif note["kind"] == "foreign":
            return Tested(False, cases, "foreign", run.mode, run.ended, run.usage)
        else:
            reason = reason or note["why"]
    passed = finished and bool(cases) and all(cases.values())
    if not passed and not reason:
        reason = (
            f"the run ended by {run.ended.value}"
            if run.ended is not Ended.EXITED
            else "it did not reach its end"
        )
    return Tested(passed, cases, reason, run.mode, run.ended, run.usage)
