"""The page about the wire: its program runs, its numbers are the code's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from steelyard.wire import body, connection, limiter
from steelyard.wire.dialects import CLIENTS, SERVERS

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "wire.md"


def test_the_program_on_the_page_runs() -> None:
    text = PAGE.read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert re.fullmatch(r"[ABCD] 1 \d+\n", found.stdout)


def test_the_numbers_and_names_on_the_page_are_the_codes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"over {connection.MOST_HEAD_BYTES >> 10} KiB" in text
    assert f"{body.MOST_BODY_BYTES >> 20} MiB" in text
    assert f"multiplies it by {limiter.SHRINK:g}" in text
    assert set(CLIENTS) == set(SERVERS)
    assert all(f"`{name}`" in text for name in CLIENTS)
