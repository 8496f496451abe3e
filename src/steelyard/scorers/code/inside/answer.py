"""Runs the tests of a single answer, with the answer's code in a process of its own.

Descriptor 3 is the signed channel out; 4 brings the code, and after the fork the tests, so that the process
with the code never holds them. With `together`, for tests that exchange more than plain values, one process holds both.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import types
from collections.abc import Callable
from typing import Any

sys.path.insert(0, "/grader")
import remote  # type: ignore[import-not-found]  # siblings, found where they are shown
import turning  # type: ignore[import-not-found]

sys.path.pop(0)


def read(fd: int) -> dict[str, Any]:
    """One message: eight bytes of length, then JSON."""
    size = int.from_bytes(remote.read(fd, 8), "big")
    message: dict[str, Any] = json.loads(remote.read(fd, size))
    return message


def serve(line: int, code: str) -> None:
    """The answer's process: define, then answer calls by name."""
    os.close(3)
    os.close(4)
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    try:
        exec(compile(code, "answer.py", "exec"), module.__dict__)  # noqa: S102 - that is what it is for
    except BaseException as e:  # noqa: BLE001 - whatever it raises is its end
        remote.send(line, {"broken": f"{type(e).__name__}: {e}"[:500]})
        os._exit(0)
    remote.send(
        line, {"names": [n for n, v in vars(module).items() if callable(v) and not isinstance(v, type)]}
    )
    while True:
        head = remote.read(line, 8)
        if len(head) < 8:
            os._exit(0)
        message = json.loads(remote.read(line, int.from_bytes(head, "big")))
        remote.send(line, remote.answer(message, lambda _, name: getattr(module, name)))


def main() -> None:
    """Fork, take the tests, run them case by case."""
    first = read(4)
    together = bool(first["together"])
    ours, theirs = remote.pair()
    if not together and not os.fork():
        os.close(ours)
        serve(theirs, first["code"])
    os.close(theirs)
    ctypes.CDLL(None).prctl(4, 0)  # not dumpable: the answer's process may not read this one
    orders = read(4)
    os.close(4)
    tell = remote.channel(3, bytes.fromhex(orders["key"]))
    Run(tell, frozenset(orders["turned"]), together=together).tests(first["code"], ours, orders)
    os._exit(0)


class Run:
    """One run of the tests."""

    def __init__(self, tell: Callable[..., None], turned: frozenset[int], *, together: bool) -> None:
        self.tell, self.turned, self.together = tell, turned, together
        self.valued: set[int] = set()

    def foreign(self, what: str) -> None:
        """The tests need more than plain values."""
        self.tell(kind="foreign", what=what)
        os._exit(0)

    def case(self, number: int, test: Callable[[], object]) -> None:
        """One assertion."""
        held, why = False, ""
        try:
            held = bool(test())
        except BaseException as e:  # noqa: BLE001 - a test that raises has failed
            if isinstance(e, NameError) and not self.together:
                self.foreign(str(e))
            why = f"{type(e).__name__}: {e}"[:500]
        if number in self.turned and number not in self.valued:
            held = not held
        self.tell(kind="case", number=number, held=held, why=why)

    def value(self, expected: object, number: int) -> object:
        """What a case compares with: made wrong when the case is turned."""
        self.valued.add(number)
        return turning.other(expected, number) if number in self.turned else expected

    def tests(self, code: str, line: int, orders: dict[str, Any]) -> None:
        """All of them, with the answer's names in place."""
        module = types.ModuleType("tests")
        sys.modules["tests"] = module
        space = module.__dict__
        try:
            if self.together:
                exec(compile(code, "answer.py", "exec"), space)  # noqa: S102 - that is what it is for
            else:
                hello = remote.reply(line)
                if "broken" in hello:
                    self.tell(kind="broken", why=hello["broken"])
                    return
                for name in hello["names"]:
                    space[name] = remote.caller(line, "answer", name, self.foreign)
            space[orders["case"]], space[orders["value"]] = self.case, self.value
            exec(compile(orders["tests"], "tests.py", "exec"), space)  # noqa: S102 - trusted tests
        except BaseException as e:  # noqa: BLE001 - the tests did not reach their end
            if isinstance(e, NameError) and not self.together:
                self.foreign(str(e))
            self.tell(kind="broken", why=f"{type(e).__name__}: {e}"[:500])
        else:
            self.tell(kind="finished")


if __name__ == "__main__":
    main()
