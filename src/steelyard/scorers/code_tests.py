"""Scorer `code_tests`: the reply's code is run against the task's tests, in a sandbox.

The tests are a column of the task: assertions, or a function `check(candidate)`. What no sandbox could be had
for is a fault of ours, never a wrong answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from steelyard.errors import DataError, EndedBy, Fault, SandboxError
from steelyard.sandbox.profile import MIB, Limits
from steelyard.sandbox.rungs import choose
from steelyard.schema.score import FAILED, PASSED, Outcome, Score
from steelyard.scorers.base import Item
from steelyard.scorers.code.answers import LIMITS, Suite, Tested, code_of, complete, run_cases
from steelyard.scorers.code.python import Python, find
from steelyard.scorers.common import Options, TextScorer
from steelyard.unknown import is_known


class CodeTestsOptions(Options, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """`tests`, `entry` and `prompt` name the task's columns; `entry` also takes a function's name for all tasks.

    `partial` gives the share of cases that held instead of all or nothing. `python` names an interpreter.
    """

    tests: str = "test"
    entry: str = "entry_point"
    prompt: str = "prompt"
    partial: bool = False
    timeout_s: float = 10.0
    memory_mib: int = 512
    python: str = ""


class CodeTests(TextScorer):
    """See `CodeTestsOptions`. Needs a task with tests; the target is not used."""

    needs_target = False
    linear = False
    code: ClassVar[int] = 1

    def __init__(self, options: CodeTestsOptions, base_dir: Path | None = None) -> None:
        super().__init__(options, base_dir)
        self._o = options
        self._python: Python | None = None

    def check(self, item: Item) -> str:
        """What is wrong with a task's tests."""
        tests, entry = self._column(item, self._o.tests), self._entry(item)
        if not tests or not entry:
            return f"no column `{self._o.tests}` with tests, or no `{self._o.entry}`"
        try:
            Suite.of(tests, entry)
        except DataError as e:
            return str(e)
        return ""

    def read(self, text: str, item: Item) -> Score:
        """Run the code that the text holds."""
        try:
            if self._python is None:
                choose()
                self._python = find(self._o.python)
            entry = self._entry(item)
            program = complete(code_of(text), self._column(item, self._o.prompt), entry)
            suite = Suite.of(self._column(item, self._o.tests), entry)
            tested = run_cases(program, suite, self._python, self._limits())
        except SandboxError as e:
            raise Fault(str(e), ended_by=EndedBy.SANDBOX, kind="sandbox") from e
        return self._score(tested, suite)

    def _limits(self) -> Limits:
        memory = self._o.memory_mib * MIB
        return Limits(
            processes=LIMITS.processes,
            memory=memory,
            memory_guarantee=min(LIMITS.memory_guarantee, memory),
            wall_s=self._o.timeout_s,
            workspace=LIMITS.workspace,
            output=LIMITS.output,
        )

    def _score(self, tested: Tested, suite: Suite) -> Score:
        held = sum(tested.cases.values())
        parts = {f"case_{n}": float(ok) for n, ok in sorted(tested.cases.items())}
        if tested.usage is not None:
            parts["wall_s"] = round(tested.usage.wall_s, 4)
            if is_known(tested.usage.memory_peak):
                parts["memory_mib"] = round(tested.usage.memory_peak / MIB, 1)
        if tested.passed:
            return Score(PASSED.outcome, 1.0, explanation=tested.mode, parts=parts)
        why = f"{tested.mode}: {tested.reason}"
        if self._o.partial and held and not tested.tampered:
            return Score(Outcome.PARTIAL, held / suite.count, explanation=why, parts=parts)
        return Score(FAILED.outcome, 0.0, explanation=why, parts=parts)

    def _column(self, item: Item, name: str) -> str:
        found = item.task.fields.get(name, "")
        return (
            found if isinstance(found, str) else "\n".join(map(str, found)) if isinstance(found, list) else ""
        )

    def _entry(self, item: Item) -> str:
        return self._column(item, self._o.entry) or (self._o.entry if self._o.entry != "entry_point" else "")
