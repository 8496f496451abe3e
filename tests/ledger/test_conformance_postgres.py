"""The conformance suite of ledgers, on a real PostgreSQL, and what is PostgreSQL's own."""

from __future__ import annotations

import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from steelyard.errors import LedgerBusy, LedgerError
from steelyard.ledger import Ledger, open_ledger
from steelyard.testing.ledger import CHECKS
from steelyard.testing.ledger_rows import Open, plan_of, sums, whole_trial
from steelyard.testing.postgres import find_programs, server

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed: pip install 'steelyard[postgres]'")
    with server(programs) as template:
        yield template


_numbers = itertools.count()


@pytest.fixture
def place(address: str) -> str:
    import psycopg

    name = f"ledger_{next(_numbers)}"
    with psycopg.connect(address.format("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return address.format(name)


@pytest.fixture
def opener(place: str) -> Iterator[Open]:
    opened: list[Ledger] = []

    def open_it() -> Ledger:
        opened.append(open_ledger(place))
        return opened[-1]

    yield open_it
    for ledger in opened:
        ledger.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_postgres_conforms(check: Callable[[Open], None], opener: Open) -> None:
    check(opener)


def test_a_killed_writer_does_not_keep_its_hold(place: str) -> None:
    program = (
        "import sys\n"
        "from steelyard.ledger import open_ledger\n"
        "from steelyard.testing.ledger_rows import plan_of, sums, whole_trial\n"
        "w = open_ledger(sys.argv[1]).create_run(plan_of(), [sums(3)])\n"
        "w.append(whole_trial(0, 1)); print(w.run, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        run = child.stdout.readline().strip()
        ledger = open_ledger(place)
        assert ledger.find(run).status == "running"
        with pytest.raises(LedgerBusy, match="another process"):
            ledger.open_run(run)
        os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while ledger.find(run).status == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    with ledger.open_run(run) as writer:
        writer.append(whole_trial(0, 2))
        writer.close("complete")
    assert sorted(ledger.finished(run)) == [(0, 1, 0), (0, 2, 0)]
    assert ledger.verify().problems == ()
    ledger.close()


def test_an_altered_row_is_found(place: str) -> None:
    import psycopg

    ledger = open_ledger(place)
    with ledger.create_run(plan_of(), [sums(9)]) as writer:
        for t in range(9):
            writer.append(whole_trial(0, t) * 30)
        writer.close("complete")
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("DELETE FROM blocks WHERE id = (SELECT max(id) FROM blocks)")
    assert any("cut off the end" in p for p in ledger.verify().problems)
    ledger.close()


def test_an_unreachable_server_is_an_error_without_the_password(address: str) -> None:
    with pytest.raises(LedgerError) as e:
        open_ledger("postgresql://somebody:hunter2@127.0.0.1:1/none?connect_timeout=2")
    assert "hunter2" not in str(e.value)
    assert "127.0.0.1" in str(e.value)
