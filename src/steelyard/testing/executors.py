"""What every executor must do, as a suite to run on one's own: `executor_conformance(make)`.

`make()` gives a fresh executor. The contestants are Python callables of this module, so nothing is needed but an
interpreter wherever the executor runs them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from steelyard.contestants.base import Ask
from steelyard.errors import EndedBy, Fault, PlanError
from steelyard.runner.base import Executor
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import Message

HERE = "steelyard.testing.executors"


def shout(text: str) -> str:
    """A contestant: its input in capitals."""
    return text.upper()


def numbered(text: str, seed: int, trial: int) -> str:
    """A contestant: what it was given."""
    return f"{text}|{seed}|{trial}"


def broken(text: str) -> str:
    """A contestant that always raises."""
    raise ValueError(f"cannot do {text}")


async def slow(text: str) -> str:
    """A contestant that takes a tenth of a second."""
    await asyncio.sleep(0.1)
    return text


def ask(text: str, trial: int = 0, seed: int = 7) -> Ask:
    """A question."""
    return Ask((Message("user", text),), text, trial, seed)


def specs(*functions: str) -> list[ContestantSpec]:
    """Contestants of this module by function name."""
    return [ContestantSpec(f, "callable", provider=f, config={"target": f"{HERE}:{f}"}) for f in functions]


def executor_conformance(make: Callable[[], Executor]) -> None:
    """Raises AssertionError at the first promise that the executor does not keep."""
    for check in (_answers, _faults, _concurrency, _bad_plan, _stops_twice):
        asyncio.run(check(make()))


async def _answers(executor: Executor) -> None:
    await executor.start(specs("shout", "numbered"))
    try:
        found = await executor.answer(0, ask("hello"))
        assert found.reply.text == "HELLO", f"wanted the contestant's answer, got {found.reply.text!r}"
        found = await executor.answer(1, ask("x", trial=3, seed=11))
        assert found.reply.text == "x|11|3", f"seed or trial did not arrive: {found.reply.text!r}"
    finally:
        await executor.stop()


async def _faults(executor: Executor) -> None:
    await executor.start(specs("broken"))
    try:
        await executor.answer(0, ask("it"))
    except Fault as f:
        assert f.kind == "application_error", f"wanted application_error, got {f.kind}"
        assert f.ended_by is EndedBy.PROVIDER, f"wanted provider, got {f.ended_by}"
        assert "cannot do it" in str(f), f"the fault lost its message: {f}"
    else:
        raise AssertionError("a contestant that raises must end in a Fault")
    finally:
        await executor.stop()


async def _concurrency(executor: Executor) -> None:
    await executor.start(specs("slow"))
    try:
        await executor.answer(0, ask("warm"))
        began = time.monotonic()
        answers = await asyncio.gather(*(executor.answer(0, ask(str(i))) for i in range(20)))
        took = time.monotonic() - began
        assert [a.reply.text for a in answers] == [str(i) for i in range(20)], "answers were mixed up"
        assert took < 1.5, f"20 attempts of 0.1 s took {took:.1f} s: they did not run at once"
    finally:
        await executor.stop()


async def _bad_plan(executor: Executor) -> None:
    bad = ContestantSpec("missing", "callable", config={"target": f"{HERE}:no_such_function"})
    try:
        await executor.start([bad])
    except PlanError as e:
        assert "no_such_function" in str(e), f"the error does not name the function: {e}"
    else:
        raise AssertionError("a contestant that cannot be opened must be refused at the start")
    finally:
        await executor.stop()


async def _stops_twice(executor: Executor) -> None:
    await executor.start(specs("shout"))
    await executor.stop()
    await executor.stop()
