"""Whoever edits a ledger's file is found out: every altered, missing, cut or reordered row is named."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from steelyard.ledger import chain as chains
from steelyard.ledger import open_ledger, rows
from steelyard.ledger.chain import Packer
from steelyard.schema.record import Result, Scored
from steelyard.schema.score import FAILED, PASSED
from steelyard.testing.ledger_rows import plan_of, sums, whole_trial

N = 240
Stored = tuple[int, int, bytes, bytes, bytes]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A closed run of several blocks, a vote chain, payloads; with the run and its head."""
    place = tmp_path_factory.mktemp("original") / "ledger"
    ledger = open_ledger(str(place))
    with ledger.create_run(plan_of(name="honest"), [sums(N)]) as writer:
        trace = writer.put(random.Random(1).randbytes(600_000))
        for t in range(N):
            records = whole_trial(0, t, score=PASSED if t % 3 else FAILED)
            if t == 7:
                records[1] = msgspec.structs.replace(records[1], trace=trace)
            writer.append(records * 12)
        head = writer.close("complete")
    with closing(ledger.open_chain("votes", "week")) as votes:
        for i in range(40):
            votes.append([f"vote {i}".encode()])
    ledger.close()
    return place, writer.run, head


@pytest.fixture
def place(original: tuple[Path, str, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(original[0], tmp_path / "ledger"))


@contextmanager
def database(place: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(place / "ledger.db")) as connection:
        yield connection
        connection.commit()


def problems(place: Path, head: str = "") -> list[str]:
    with closing(open_ledger(str(place))) as ledger:
        return list(ledger.verify(head=head).problems)


def run_blocks(connection: sqlite3.Connection) -> list[Stored]:
    return connection.execute(
        "SELECT b.id, b.n, b.head, b.tags, b.body FROM blocks b JOIN chains c ON b.id >> 32 = c.id "
        "WHERE c.kind = 'run' ORDER BY b.id"
    ).fetchall()


def rewrite(connection: sqlite3.Connection, edit: Callable[[list[bytes]], list[bytes]], at: int) -> int:
    """Unpack block `at`, edit its rows, pack it again; returns its first row's number."""
    key, _n, _head, _tags, body = run_blocks(connection)[at]
    edited = edit([bytes(r) for r in Packer().rows(body)])
    connection.execute(
        "UPDATE blocks SET body = ? WHERE id = ?", (Packer().compress(chains.pack(edited)), key)
    )
    return key & 0xFFFFFFFF


def test_an_untouched_ledger_has_no_problems(place: Path, original: tuple[Path, str, str]) -> None:
    assert problems(place) == []
    assert problems(place, head=original[2]) == []
    with database(place) as c:
        assert len(run_blocks(c)) > 3


def test_an_altered_score_names_its_row(place: Path) -> None:
    altered = []

    def edit(stored: list[bytes]) -> list[bytes]:
        for i, row in enumerate(stored):
            record = rows.decode(row)
            if i > 20 and isinstance(record, Scored) and record.score == FAILED:
                stored[i] = rows.encode(msgspec.structs.replace(record, score=PASSED))
                altered.append(i)
                break
        return stored

    with database(place) as c:
        first = rewrite(c, edit, 2)
    found = problems(place)
    assert len(found) == 1
    assert f"row {first + altered[0]}: altered" in found[0]


@pytest.mark.parametrize("at", [0, 1, 50])
def test_a_removed_row_inside_a_block_is_named(place: Path, at: int) -> None:
    with database(place) as c:
        first = rewrite(c, lambda stored: stored[:at] + stored[at + 1 :], 1)
    assert any(f"row {first + at}: altered, missing or out of order" in p for p in problems(place))


def test_swapped_rows_are_named(place: Path) -> None:
    with database(place) as c:
        first = rewrite(c, lambda stored: [*stored[:8], stored[9], stored[8], *stored[10:]], 1)
    assert any(f"row {first + 8}: altered, missing or out of order" in p for p in problems(place))


def test_an_added_row_is_named(place: Path) -> None:
    with database(place) as c:
        first = rewrite(c, lambda stored: [*stored, stored[-1]], 1)
        n = run_blocks(c)[1][1]
    assert any(f"rows {first} to {first + n - 1}: {n + 1} rows" in p for p in problems(place))


@pytest.mark.parametrize("at", [0, 2, -1])
def test_a_missing_block_is_named(place: Path, at: int) -> None:
    with database(place) as c:
        key, n, *_ = run_blocks(c)[at]
        c.execute("DELETE FROM blocks WHERE id = ?", (key,))
    first = key & 0xFFFFFFFF
    lost = f"row {first}" if n == 1 else f"rows {first} to {first + n - 1}"
    assert any(lost in p and ("missing" in p or "cut" in p) for p in problems(place))


def test_exchanged_blocks_are_found(place: Path) -> None:
    with database(place) as c:
        one, two = run_blocks(c)[1:3]
        for (key, *_), content in ((one, two), (two, one)):
            c.execute(
                "UPDATE blocks SET n = ?, head = ?, tags = ?, body = ? WHERE id = ?", (*content[1:], key)
            )
    assert any(f"row {one[0] & 0xFFFFFFFF}" in p for p in problems(place))


def test_a_forged_end_is_found_by_the_head_that_was_noted(
    place: Path, original: tuple[Path, str, str]
) -> None:
    """The one forgery that a chain cannot show by itself: everything after some row never happened."""
    _, run, head = original
    with database(place) as c:
        kept, cut = run_blocks(c)[:-2], run_blocks(c)[-2:]
        spent = sum(
            record.cost or 0
            for block in kept
            for record in map(rows.decode, Packer().rows(block[4]))
            if isinstance(record, Result)
        )
        c.executemany("DELETE FROM blocks WHERE id = ?", [(b[0],) for b in cut])
        end = (kept[-1][0] & 0xFFFFFFFF) + kept[-1][1]
        c.execute(
            "UPDATE chains SET n = ?, head = ?, spent = ?, status = 'open' WHERE name = ?",
            (end, kept[-1][2], spent, run),
        )
        c.execute("DELETE FROM folds")
    assert problems(place) == []
    assert problems(place, head=head) == [
        f"head {head}: no row has it; what was recorded under it has been altered, cut or replaced"
    ]


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("UPDATE chains SET n = n - 1 WHERE kind = 'run'", "beyond the chain's recorded end"),
        ("UPDATE chains SET n = n + 5 WHERE kind = 'run'", "cut off the end"),
        ("UPDATE chains SET head = zeroblob(32) WHERE kind = 'run'", "head"),
        ("UPDATE chains SET spent = 0 WHERE kind = 'run'", "spend"),
        ("UPDATE chains SET status = 'failed' WHERE kind = 'run'", "status"),
        ("UPDATE chains SET name = name || 'x' WHERE kind = 'run'", "row 0"),
        ("DELETE FROM chains WHERE kind = 'run'", "not listed"),
        ("DELETE FROM runs", "does not say what row 1"),
        ("UPDATE runs SET manifest = CAST(replace(manifest, 'honest', 'better') AS BLOB)", "row 1"),
        ("UPDATE runs SET manifest = CAST('{' AS BLOB)", "manifest"),
        ("UPDATE blocks SET head = zeroblob(32) WHERE id = (SELECT min(id) FROM blocks)", "head"),
        ("UPDATE blocks SET tags = zeroblob(length(tags)) WHERE id = (SELECT min(id) FROM blocks)", "row 0"),
        ("UPDATE blocks SET n = n - 1 WHERE id = (SELECT min(id) FROM blocks)", "declared"),
        ("UPDATE blocks SET n = 0", "declared"),
        ("UPDATE blocks SET n = -7", "declared"),
        ("UPDATE blocks SET n = 1000000000 WHERE id = (SELECT min(id) FROM blocks)", "declared"),
        ("UPDATE blocks SET body = zeroblob(50) WHERE id = (SELECT min(id) FROM blocks)", "unreadable"),
        ("DELETE FROM payloads WHERE size = 600000", "its payload"),
        ("DELETE FROM payloads WHERE media = 'application/json' AND size < 5000", "payload"),
        ("DELETE FROM chunks WHERE id = (SELECT max(id) FROM chunks)", "altered or cut"),
        (
            "UPDATE chunks SET body = (SELECT body FROM chunks LIMIT 1) WHERE id IN (SELECT max(id) FROM chunks)",
            "altered or cut",
        ),
        ("UPDATE payloads SET size = size - 1 WHERE body IS NULL", "altered or cut"),
        ("DELETE FROM tasks WHERE id = (SELECT max(id) FROM tasks)", "a task"),
        (
            "UPDATE suites SET header = CAST(replace(header, 'sums', 'sams') AS BLOB)",
            "a task (or the header)",
        ),
        ("UPDATE suites SET splits = (SELECT body FROM tasks LIMIT 1)", "a task (or the header)"),
        ("DELETE FROM suites", "suite"),
        ("UPDATE tasks SET n = n + 1 WHERE id = (SELECT max(id) FROM tasks)", "are declared"),
        ("UPDATE fold_columns SET body = zeroblob(30) WHERE name = 'score/0'", "cannot be read"),
        (
            "DELETE FROM blocks WHERE id >> 32 = (SELECT id FROM chains WHERE kind = 'votes')",
            "cut off the end",
        ),
    ],
)
def test_every_edit_is_found(place: Path, sql: str, wanted: str) -> None:
    with database(place) as c:
        assert c.execute(sql).rowcount > 0
    found = problems(place)
    assert found, "nothing was noticed"
    assert any(wanted in p for p in found), found


def test_an_edited_leaderboard_is_found(place: Path) -> None:
    """Derived columns are no rows; but they are what is read, so they are checked against the rows."""
    with database(place) as c:
        name, body = c.execute("SELECT name, body FROM fold_columns WHERE name = 'score/0'").fetchone()
        marks = bytearray(Packer().decompress(body))
        marks[marks.index(1)] = 2  # a failed trial becomes a passed one
        c.execute("UPDATE fold_columns SET body = ? WHERE name = ?", (Packer().compress(bytes(marks)), name))
    assert any("derived columns" in p for p in problems(place))


def test_200_single_bits_in_stored_content_are_found(place: Path) -> None:
    rng = random.Random(11)
    for i in range(200):
        table = rng.choice(["blocks", "blocks", "chunks", "tasks", "payloads"])
        with database(place) as c:
            key, body = rng.choice(
                c.execute(f"SELECT id, body FROM {table} WHERE body IS NOT NULL").fetchall()
            )
            edited = bytearray(body)
            at = rng.randrange(len(edited))
            edited[at] ^= 1 << rng.randrange(8)
            c.execute(f"UPDATE {table} SET body = ? WHERE id = ?", (bytes(edited), key))
        # a few bits of a compressed frame mean nothing: the content is then the same, and nothing was altered
        if not problems(place):
            assert Packer().decompress(bytes(edited)) == Packer().decompress(body), f"{i}: {table}, byte {at}"
        with database(place) as c:
            c.execute(f"UPDATE {table} SET body = ? WHERE id = ?", (body, key))
    assert problems(place) == []


def test_each_problem_names_the_run(place: Path, original: tuple[Path, str, str]) -> None:
    with database(place) as c:
        rewrite(c, lambda stored: stored[::-1], 0)
    found = problems(place)
    assert found
    assert all(p.startswith(f"run {original[1]}: row 0: altered") for p in found)
