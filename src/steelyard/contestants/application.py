"""The user's own application, called as a Python function.

`target` is `module:function` or `path/to/file.py:function`. Its parameters are given by name, as far as it has them:
`input` (text of the last user message; also the first parameter of any other name), `messages` (list of
``{"role", "content"}``), `task_id`, `trial`, `seed`. It may be sync (run on a thread) or async. It returns the answer
as text, or a mapping with `text` and any of `input_tokens`, `output_tokens`, `cost` (dollars), `tool_calls`.

Not covered: a synchronous function cannot be killed; after `timeout` its thread is left behind and the trial parked.
An exception is the application's fault or that of something below it, and we cannot tell which: the trial is parked as
ungraded (`application_error`), and the score is bounded both ways.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import inspect
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from steelyard.contestants.base import Answer, Ask
from steelyard.contestants.figures import count_of, pusd_of, writable
from steelyard.errors import EndedBy, Fault, PlanError
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import ToolCall, text_of
from steelyard.schema.reply import Reply, Timing, Usage
from steelyard.wire.client import without
from steelyard.wire.faults import clean
from steelyard.wire.keys import secrets_in

Function = Callable[..., object]
_GIVEN = ("input", "messages", "task_id", "trial", "seed")


def load_function(target: str, *, where: str) -> Function:
    """The function that `target` names. Raises PlanError; the error of an import is told, not swallowed."""
    name, _, attribute = target.rpartition(":")
    if not name or not attribute:
        raise PlanError(
            "not a function's name", where=where, wanted="module:function or file.py:function", got=target
        )
    try:
        if name.endswith(".py"):
            spec = importlib.util.spec_from_file_location(f"steelyard_app_{Path(name).stem}", name)
            if spec is None or spec.loader is None or not Path(name).is_file():
                raise PlanError("no such file", where=where, wanted="a Python file", got=name)
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(name)
    except PlanError:
        raise
    except Exception as e:
        raise PlanError(
            f"importing {name} failed",
            where=where,
            got=f"{type(e).__name__}: {e}",
            fix="mend it, or check the path",
        ) from e
    function = getattr(module, attribute, None)
    if not callable(function):
        raise PlanError(
            f"no function `{attribute}` in {name}", where=where, wanted="a callable", got=repr(function)
        )
    return function  # type: ignore[no-any-return]  # getattr is untyped; callable() was checked


class Application:
    """A Python function as a contestant."""

    def __init__(self, spec: ContestantSpec, environ: Mapping[str, str]) -> None:
        self.spec = spec
        self._secrets = secrets_in(environ)
        self._function: Function = _not_open
        self._named: list[str] = []
        self._first = True

    async def open(self) -> None:
        """Import the function. Raises PlanError."""
        spec = self.spec
        self._function = load_function(str(spec.config.get("target", "")), where=f"contestant {spec.name}")
        try:
            parameters = list(inspect.signature(self._function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        names = [p.name for p in parameters]
        self._named = [n for n in _GIVEN if n in names]
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        first = parameters[0] if parameters else None
        self._first = first is None or (first.kind in positional and first.name not in _GIVEN)

    def _arguments(self, ask: Ask) -> tuple[tuple[object, ...], dict[str, object]]:
        users = [m for m in ask.messages if m.role == "user"]
        text = text_of(users[-1]) if users else ""
        values: dict[str, object] = {
            "input": text,
            "messages": [{"role": m.role, "content": text_of(m)} for m in ask.messages],
            "task_id": ask.task_id,
            "trial": ask.trial,
            "seed": ask.seed,
        }
        return ((text,) if self._first else ()), {n: values[n] for n in self._named}

    async def aclose(self) -> None:
        """Nothing to close."""

    async def answer(self, ask: Ask) -> Answer:
        """Call the function once. Raises Fault."""
        args, named = self._arguments(ask)
        began = time.monotonic_ns()
        try:
            async with asyncio.timeout(self.spec.timeout_s):
                if inspect.iscoroutinefunction(self._function):
                    value = await self._function(*args, **named)
                else:
                    value = await _on_thread(self._function, args, named)
        except TimeoutError:
            raise Fault(
                f"the application took longer than {self.spec.timeout_s:g} s",
                ended_by=EndedBy.PROVIDER,
                kind="application_timeout",
            ) from None
        except Fault:
            raise
        except (Exception, SystemExit) as e:
            raise Fault(
                clean(f"the application raised {type(e).__name__}: {e}", self._secrets, limit=400),
                ended_by=EndedBy.PROVIDER,
                kind="application_error",
            ) from e
        took = time.monotonic_ns() - began
        answer = to_answer(value, Timing(took, took))
        return replace(answer, reply=without(answer.reply, self._secrets))


async def _on_thread(function: Function, args: tuple[object, ...], named: Mapping[str, object]) -> object:
    """Run on a daemon thread of its own: one that hangs can be left behind without blocking the exit."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[object] = loop.create_future()

    def tell(value: object, error: BaseException | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(value)
            else:
                done.set_exception(error)

    def work() -> None:
        try:
            value, error = function(*args, **named), None
        except (StopIteration, SystemExit) as e:
            value, error = None, RuntimeError(f"{type(e).__name__}: {e}")
        except Exception as e:  # noqa: BLE001 - handed to the event loop
            value, error = None, e  # type: ignore[assignment]  # one of the two is None
        with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over, and nobody waits
            loop.call_soon_threadsafe(tell, value, error)

    threading.Thread(target=work, daemon=True, name="steelyard-application").start()
    return await done


def _not_open() -> str:
    raise RuntimeError("open() the contestant first")


def to_answer(value: object, timing: Timing) -> Answer:
    """What an application returned, as an answer. Raises Fault when it is neither text nor a mapping with `text`."""
    if isinstance(value, Reply):
        return Answer(writable(value))
    if isinstance(value, str):
        return Answer(writable(Reply(text=value, timing=timing)))
    if isinstance(value, Mapping) and isinstance(value.get("text"), str):
        calls = value.get("tool_calls")
        calls = calls if isinstance(calls, list | tuple) else ()
        reply = Reply(
            text=str(value["text"]),
            usage=Usage(count_of(value.get("input_tokens")), count_of(value.get("output_tokens"))),
            tool_calls=tuple(
                ToolCall(str(c.get("id", i)), str(c.get("name", "")), _json(c.get("arguments", {})))
                for i, c in enumerate(calls)
                if isinstance(c, Mapping)
            ),
            timing=timing,
        )
        return Answer(writable(reply), cost_pusd=pusd_of(value.get("cost")))
    raise Fault(
        f"the application returned {type(value).__name__}, wanted text or a mapping with `text`",
        ended_by=EndedBy.PROVIDER,
        kind="application_error",
    )


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=repr)


def make(spec: ContestantSpec, environ: Mapping[str, str]) -> Application:
    """For the table of kinds."""
    return Application(spec, environ)
