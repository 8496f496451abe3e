"""kill -9 at random instants, torn writes, a full disk, a locked database: nothing acknowledged is lost.

Power loss is tested apart from kill -9: a killed process leaves every written page to the system, a power loss may
leave any prefix of the last write, or garbage in it. Not covered: a disk that lies about having synced.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from steelyard.errors import DataError, LedgerBusy, LedgerError, LedgerFull
from steelyard.ledger import Ledger, open_ledger
from steelyard.schema.record import Noted, Result
from steelyard.testing.ledger_rows import plan_of, sums, whole_trial

TASKS = 12_000

WRITER = """
import random, sys
from steelyard.ledger import open_ledger
from steelyard.testing.ledger_rows import plan_of, sums, whole_trial

place, seed, run = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rng = random.Random(seed)
ledger = open_ledger(place)
writer = ledger.open_run(run)
done = {t for _, t, _ in ledger.finished(run)}
t = max(done, default=-1) + 1
print("ready", t, writer.n_records, flush=True)
while True:
    n = rng.choice([1, 1, 3, 20])
    batch = [r for i in range(t, t + n) for r in whole_trial(0, i)]
    if rng.random() < 0.2:
        writer.put(rng.randbytes(rng.choice([10, 3000, 300_000])), "application/octet-stream")
    writer.append(batch)
    t += n
    sys.stdout.write(f"{t} {writer.n_records} {writer.head}\\n")
    sys.stdout.flush()
"""


def spawn(place: Path, seed: int, run: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(place), str(seed), run],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_rounds(place: Path, run: str, rounds: int, rng: random.Random) -> None:
    acknowledged = 0
    for seed in range(rounds):
        with spawn(place, seed, run) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            ready = child.stdout.readline().split()
            assert ready[:1] == ["ready"], child.stderr.read()
            assert int(ready[1]) >= acknowledged, "a finished trial is gone"
            timer = threading.Timer(rng.uniform(0.0, 0.25), child.send_signal, (signal.SIGKILL,))
            timer.start()
            lines = child.stdout.read().splitlines()
            timer.join()
        if lines and lines[-1].count(" ") != 2:
            lines.pop()  # the kill came while the line was being written
        with closing(open_ledger(str(place))) as ledger:
            finished = sorted(t for _, t, _ in ledger.finished(run))
            if lines:
                t, n, head = lines[-1].split()
                acknowledged = int(t)
                assert ledger.find(run).n_records >= int(n)
                assert ledger.verify(run, head=head).problems == ()
            # batches are whole or absent, so no trial is half there and none is missing in between
            assert finished == list(range(len(finished)))
            assert len(finished) >= acknowledged
            assert ledger.resume_state(run).in_flight == []
            acknowledged = len(finished)
    with closing(open_ledger(str(place))) as ledger:
        assert ledger.verify().problems == ()
        cells = ledger.cells(run).columns
        assert cells["passed"].sum() == acknowledged


@pytest.fixture
def started(tmp_path: Path) -> tuple[Path, str]:
    place = tmp_path / "ledger"
    with closing(open_ledger(str(place))) as ledger, ledger.create_run(plan_of(), [sums(TASKS)]) as writer:
        return place, writer.run


def test_nothing_acknowledged_is_lost_in_12_kills(started: tuple[Path, str]) -> None:
    kill_rounds(*started, rounds=12, rng=random.Random(1))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_nothing_acknowledged_is_lost_in_200_kills(started: tuple[Path, str]) -> None:
    kill_rounds(*started, rounds=200, rng=random.Random(2))


def power_loss_images(place: Path, rng: random.Random, n: int) -> list[tuple[bytes, bytes]]:
    """What the disk may hold after a power loss: the file, and the write-ahead log with its unsynced end torn."""
    file, log = (place / "ledger.db").read_bytes(), (place / "ledger.db-wal").read_bytes()
    images = []
    for _ in range(n):
        cut = rng.randrange(len(log) + 1)
        torn = bytearray(log[:cut])
        if rng.random() < 0.7:  # the last sectors hold anything
            for _ in range(rng.randrange(1, 4)):
                size = rng.choice([1, 512, 4096])
                at = rng.randrange(max(1, cut - 9000), cut + 1) if cut > 1 else 0
                torn[at : at + size] = rng.choice([bytes(size), rng.randbytes(size)])[
                    : max(0, len(torn) - at)
                ]
        images.append((file, bytes(torn)))
    return images


def test_a_torn_log_loses_no_row_that_was_synced_before_the_tear(tmp_path: Path) -> None:
    """The log is cut and scribbled on at random. What stands is a prefix of what was written, whole and verified; a
    batch that was acknowledged before the untouched part of the log ended is there."""
    rng = random.Random(4)
    place = tmp_path / "ledger"
    ledger = open_ledger(str(place))
    log = place / "ledger.db-wal"
    with ledger.create_run(plan_of(), [sums(300)]) as writer:
        marks = []  # (bytes of log, rows) after each acknowledged append
        for t in range(300):
            writer.append(whole_trial(0, t))
            marks.append((log.stat().st_size, writer.n_records))
        run = writer.run
        size_before_any_fold = len({size for size, _ in marks})
        assert size_before_any_fold > 50, "the log was folded in between: this test would say nothing"
        images = power_loss_images(place, rng, 40)
        original = log.read_bytes()
        records = list(ledger.records(run))
    ledger.close()
    for i, (file, torn) in enumerate(images):
        image = tmp_path / f"image{i}"
        image.mkdir()
        (image / "ledger.db").write_bytes(file)
        (image / "ledger.db-wal").write_bytes(torn)
        intact = next((j for j, (a, b) in enumerate(zip(original, torn, strict=False)) if a != b), len(torn))
        promised = max((n for size, n in marks if size <= intact), default=0)
        try:
            again = open_ledger(str(image), create=False)
        except (LedgerError, DataError):
            assert promised == 0, f"image {i} cannot be opened, {promised} rows were promised"
            continue
        with closing(again):
            if not again.runs():
                assert promised == 0
                continue
            back = list(again.records(run))
            assert back == records[: len(back)]
            assert len(back) >= promised, f"image {i}: {len(back)} rows, {promised} were promised"
            assert again.verify().problems == ()
            with again.open_run(run) as writer:
                writer.append([Noted(1, "went", "on")])
            assert again.verify().problems == ()
        shutil.rmtree(image)


def fill(ledger: Ledger, limit: int = 100_000) -> tuple[str, int]:
    """Append until it fails; returns the run and the number of rows that were acknowledged."""
    rng = random.Random(3)
    writer = ledger.create_run(plan_of(), [sums(50)])
    acknowledged = writer.n_records
    try:
        for _ in range(limit):
            writer.append([*whole_trial(0, rng.randrange(50)), Noted(1, "noise", rng.randbytes(3000).hex())])
            acknowledged = writer.n_records
    except LedgerFull:
        assert writer.n_records == acknowledged
        with pytest.raises(LedgerFull):  # it goes on failing, and does not break
            writer.append([Noted(1, "noise", rng.randbytes(60_000).hex())])
        return writer.run, acknowledged
    finally:
        writer.release()
    raise AssertionError("the disk did not fill up")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    if os.getuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small file system needs root and mount")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_is_said_and_loses_nothing(small_disk: Path) -> None:
    place = str(small_disk / "ledger")
    ledger = open_ledger(place)
    run, acknowledged = fill(ledger)
    assert len(list(ledger.records(run))) == acknowledged
    assert ledger.verify().problems == ()
    ledger.close()
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    with closing(open_ledger(place)) as ledger:
        with ledger.open_run(run) as writer:
            writer.append(whole_trial(0, 1))
            writer.close("complete")
        assert ledger.find(run).n_records == acknowledged + 5
        assert ledger.verify().problems == ()


def test_a_file_size_limit_is_a_full_disk(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys\n"
        "from tests.hostile.test_ledger_crash import fill\n"
        "from steelyard.ledger import open_ledger\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))\n"
        "print(*fill(open_ledger(sys.argv[1])))\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "ledger")], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr
    run, acknowledged = done.stdout.split()
    with closing(open_ledger(str(tmp_path / "ledger"))) as ledger:
        assert len(list(ledger.records(run))) == int(acknowledged)
        assert ledger.verify().problems == ()


def test_a_locked_database_is_waited_for_and_then_said(tmp_path: Path) -> None:
    place = tmp_path / "ledger"
    with closing(open_ledger(str(place), wait_s=0.4)) as ledger:
        writer = ledger.create_run(plan_of(), [sums(5)])
        with closing(sqlite3.connect(place / "ledger.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            with pytest.raises(LedgerBusy, match="write lock"):
                writer.append(whole_trial(0, 0))
            assert time.monotonic() - began > 0.3
            assert ledger.find(writer.run).n_records == 2  # readers do not wait
            other.execute("ROLLBACK")
        with closing(
            sqlite3.connect(place / "ledger.db", isolation_level=None, check_same_thread=False)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            timer = threading.Timer(0.15, other.execute, ("ROLLBACK",))
            timer.start()
            writer.append(whole_trial(0, 0))
            timer.join()
        writer.close("complete")
        assert ledger.verify().problems == ()


def test_other_writers_wait_and_succeed(tmp_path: Path) -> None:
    """Four processes: a run each, and votes on one chain, all at once."""
    place = tmp_path / "ledger"
    program = (
        "import sys\n"
        "from steelyard.ledger import open_ledger\n"
        "from steelyard.testing.ledger_rows import plan_of, sums, whole_trial\n"
        "ledger = open_ledger(sys.argv[1])\n"
        "votes = ledger.open_chain('votes', 'all')\n"
        "with ledger.create_run(plan_of(), [sums(60)]) as writer:\n"
        "    for t in range(60):\n"
        "        writer.append(whole_trial(0, t))\n"
        "        votes.append([f'{sys.argv[2]}:{t}'.encode()])\n"
        "    writer.close('complete')\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(place), str(i)], stderr=subprocess.PIPE, text=True
        )
        for i in range(4)
    ]
    for child in children:
        _, err = child.communicate(timeout=120)
        assert child.returncode == 0, err
    with closing(open_ledger(str(place))) as ledger:
        assert [r.status for r in ledger.runs()] == ["complete"] * 4
        votes = [row.decode() for row in ledger.chain("votes", "all")]
        assert sorted(votes) == sorted(f"{i}:{t}" for i in range(4) for t in range(60))
        for i in range(4):  # each writer's own votes are in its order
            assert [v for v in votes if v.startswith(f"{i}:")] == [f"{i}:{t}" for t in range(60)]
        assert ledger.verify().problems == ()


def test_a_forked_child_does_not_keep_a_dead_writers_hold(tmp_path: Path) -> None:
    place = tmp_path / "ledger"
    program = (
        "import os, sys, time\n"
        "from steelyard.ledger import open_ledger\n"
        "from steelyard.testing.ledger_rows import plan_of, sums\n"
        "writer = open_ledger(sys.argv[1]).create_run(plan_of(), [sums(5)])\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os.close(1); time.sleep(60); os._exit(0)\n"
        "print(writer.run, child, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        run, orphan = parent.stdout.readline().split()
        with closing(open_ledger(str(place))) as ledger:
            with pytest.raises(LedgerBusy):
                ledger.open_run(run)
            parent.kill()
            parent.wait()
            try:
                os.kill(int(orphan), 0)  # still there
                ledger.open_run(run).release()
            finally:
                os.kill(int(orphan), signal.SIGKILL)


def test_a_reader_without_the_right_to_write_can_read(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to become another user")
    place = tmp_path / "ledger"
    with closing(open_ledger(str(place))) as ledger, ledger.create_run(plan_of(), [sums(5)]) as writer:
        writer.append(whole_trial(0, 0))
        writer.close("complete")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and folder.is_relative_to("/tmp"):
            folder.chmod(0o755)
    program = (
        "import os, sys\n"
        "from steelyard.ledger import open_ledger\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "ledger = open_ledger(sys.argv[1], create=False)\n"
        "print(ledger.find('last').status, len(list(ledger.trials('last'))), len(ledger.verify().problems))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(place)], capture_output=True, text=True)
    assert done.stdout.split() == ["complete", "1", "0"], done.stderr


def test_results_are_counted_in_memory_that_does_not_grow_with_rows(tmp_path: Path) -> None:
    """Appending 60,000 rows of one cell costs no memory: nothing of a row is held back."""
    place = tmp_path / "ledger"
    with closing(open_ledger(str(place))) as ledger, ledger.create_run(plan_of(), [sums(2)]) as writer:
        batch = whole_trial(0, 0) * 100
        for _ in range(20):
            writer.append(batch)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(180):
            writer.append(batch)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 6_000
        assert sum(isinstance(r, Result) for r in ledger.records(writer.run)) == 20_000
