"""Which ledger, and what is said when it cannot be one."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from steelyard.errors import DataError, LedgerCorrupt, LedgerError, UserError
from steelyard.ledger import default_place, open_ledger
from steelyard.ledger.migrations import MIGRATIONS, Migration, migrate
from steelyard.ledger.sqlite import SqliteDatabase
from steelyard.testing.ledger_rows import plan_of, sums, whole_trial


@pytest.mark.parametrize(
    ("flag", "variable", "wanted"),
    [
        (None, None, "/home/me/.steelyard"),
        ("", "", "/home/me/.steelyard"),
        (None, "team", "/home/me/team"),
        ("mine", "team", "/home/me/mine"),
        ("/abs/one", None, "/abs/one"),
        (None, "postgresql://host/db", "postgresql://host/db"),
    ],
)
def test_flag_before_variable_before_folder(flag: str | None, variable: str | None, wanted: str) -> None:
    environ = {} if variable is None else {"STEELYARD_LEDGER": variable}
    assert default_place(flag, environ, Path("/home/me")) == wanted


def test_nothing_is_made_without_create(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match="no ledger is there"):
            open_ledger(str(place), create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["", "mysql://host/db", "http://host"])
def test_an_impossible_place_says_what_is_wanted(place: str) -> None:
    with pytest.raises(DataError, match="postgresql://"):
        open_ledger(place)


def test_a_file_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match="a file"):
        open_ledger(str(tmp_path / "notes.txt"))


@pytest.mark.parametrize("content", [b"this is no database, but it is long enough to be one" * 100, b"x"])
def test_a_foreign_file_in_the_place_is_not_overwritten(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    with pytest.raises((LedgerCorrupt, LedgerError)):
        open_ledger(str(tmp_path))
    assert (tmp_path / "ledger.db").read_bytes() == content


def test_a_newer_ledger_is_refused_and_an_older_one_is_brought_up_to_date(tmp_path: Path) -> None:
    with closing(open_ledger(str(tmp_path))) as ledger, ledger.create_run(plan_of(), [sums(3)]) as writer:
        writer.append(whole_trial(0, 0))
        writer.close("complete")
    newer = (*MIGRATIONS, Migration("labels", ("CREATE TABLE labels (id {key}, word {blob})",)))
    with closing(SqliteDatabase(str(tmp_path))) as db:
        migrate(db, create=False, migrations=newer)
        assert db.has_table("labels")
        migrate(db, create=False, migrations=newer)
        assert [r[0] for r in db.rows("SELECT name FROM migrations ORDER BY n")] == [m.name for m in newer]
    with pytest.raises(LedgerError, match=f"format {len(newer)}; this program knows formats up to"):
        open_ledger(str(tmp_path))
    with closing(SqliteDatabase(str(tmp_path))) as db, pytest.raises(LedgerError, match="another program"):
        migrate(db, create=False, migrations=(Migration("else", ()), *newer))


def test_a_failed_migration_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    open_ledger(str(tmp_path)).close()
    broken = (*MIGRATIONS, Migration("broken", ("CREATE TABLE half (id {key})", "CREATE TABLE (")))
    with closing(SqliteDatabase(str(tmp_path))) as db:
        with pytest.raises(LedgerError, match="syntax"):
            migrate(db, create=False, migrations=broken)
        assert not db.has_table("half")
    open_ledger(str(tmp_path)).close()


def test_eight_processes_may_make_the_same_ledger_at_once(tmp_path: Path) -> None:
    program = "import sys; from steelyard.ledger import open_ledger; open_ledger(sys.argv[1]).close()"
    children = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "new")]) for _ in range(8)]
    assert [c.wait(timeout=60) for c in children] == [0] * 8
    with closing(open_ledger(str(tmp_path / "new"), create=False)) as ledger:
        assert ledger.runs() == []


def test_the_writer_of_a_run_never_imports_numpy(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from steelyard.ledger import open_ledger\n"
        "from steelyard.schema.contestant import ContestantSpec\n"
        "from steelyard.schema.plan import Plan, SuiteUse\n"
        "from steelyard.schema.record import Intent, Result\n"
        "from steelyard.schema.task import SuiteHeader, Task\n"
        "class Suite:\n"
        "    header = SuiteHeader('s', n_public=1)\n"
        "    def __len__(self): return 1\n"
        "    def task(self, i): return Task('a', 'b')\n"
        "plan = Plan((SuiteUse('s'),), (ContestantSpec('c', 'endpoint'),))\n"
        "with open_ledger(sys.argv[1]) as ledger:\n"
        "    with ledger.create_run(plan, [Suite()]) as w:\n"
        "        w.append([Intent(0, 0, 0, 0, 1, 1), Result(0, 0, 0, 0, 2, 'provider', False)])\n"
        "    with ledger.open_run('last') as w:\n"
        "        list(ledger.finished(w.run)), ledger.resume_state(w.run), list(ledger.trials(w.run))\n"
        "        w.close('complete')\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'scipy', 'psycopg', 'rich'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_missing_driver_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from steelyard.errors import UserError\n"
        "from steelyard.ledger import open_ledger\n"
        "try: open_ledger('postgresql://localhost/x')\n"
        "except UserError as e: print(e)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "steelyard[postgres]" in done.stdout, done.stderr
    assert issubclass(DataError, UserError)
