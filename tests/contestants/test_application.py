"""The user's Python function as a contestant."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from steelyard.contestants.application import make
from steelyard.contestants.base import Ask
from steelyard.errors import Fault
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import Message


def test_a_function_that_ends_after_the_run_says_nothing(tmp_path: Path) -> None:
    app = tmp_path / "late.py"
    app.write_text("import time\n\ndef answer(question):\n    time.sleep(0.4)\n    return question\n")
    spec = ContestantSpec("late", "callable", config={"target": f"{app}:answer"}, timeout_s=0.05)

    async def go() -> None:
        contestant = make(spec, {})
        await contestant.open()
        await contestant.answer(Ask((Message("user", "q"),), "t", 0, 0))

    with pytest.raises(Fault, match="took longer"):
        asyncio.run(go())
    for thread in threading.enumerate():
        if thread.name == "steelyard-application":
            thread.join(10)  # pytest turns what a thread raises into an error of this test
            assert not thread.is_alive()
