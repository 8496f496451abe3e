"""The conformance suite of ledgers, on SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.ledger import Ledger, open_ledger
from steelyard.testing.ledger import CHECKS
from steelyard.testing.ledger_rows import Open


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Open]:
    opened: list[Ledger] = []

    def open_it() -> Ledger:
        opened.append(open_ledger(str(tmp_path / "ledger")))
        return opened[-1]

    yield open_it
    for ledger in opened:
        ledger.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_sqlite_conforms(check: Callable[[Open], None], opener: Open) -> None:
    check(opener)
