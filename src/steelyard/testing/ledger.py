"""What every ledger must do, as an executable suite: run `CHECKS` on your own store.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
    def test_my_store_is_a_ledger(check, tmp_path):
        check(lambda: open_my_ledger(tmp_path))

A check gets a function that opens the ledger at one place that was empty before; it may call it several times (each
call is another connection, as another process would have). A check fails by AssertionError. Durability under kill -9
and power loss is not covered here: it needs processes, not calls.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import closing

from steelyard.errors import DataError
from steelyard.schema.record import Noted, Record, Result, Scored
from steelyard.schema.reply import Reply, Timing, Usage
from steelyard.schema.score import FAILED, Outcome, Score
from steelyard.testing.ledger_rows import (
    Open,
    intent,
    plan_of,
    refuses,
    sums,
    whole_trial,
)
from steelyard.testing.ledger_runs import (
    a_resumed_run_knows_what_is_done,
    a_run_has_one_writer,
    a_run_keeps_its_plan_and_suites,
    cells_are_what_the_rows_say,
    records_come_back_in_order,
    trials_are_what_the_rows_say,
)


def payloads_are_read_whole_and_in_part(open_ledger: Open) -> None:
    """Empty, small, and in chunks; the same content is kept once; a range costs what it holds."""
    ledger, rng = open_ledger(), random.Random(5)
    contents = [b"", b"{}", b"abc" * 100, rng.randbytes(256 * 1024), b"line of text\n" * 90_000]
    contents.append(rng.randbytes(256 * 1024 + 1))
    with ledger.create_run(plan_of(), [sums(2)]) as writer:
        digests = [writer.put(c) for c in contents]
        assert [writer.put(c) for c in contents] == digests
        writer.append([Noted(1, "kept", "payloads")])
    other = open_ledger()
    for digest, content in zip(digests, contents, strict=True):
        assert other.payload(digest) == content
        for _ in range(6):
            start, stop = sorted(rng.randrange(len(content) + 9) for _ in range(2))
            assert other.payload(digest, start, stop) == content[start:stop]
        assert other.payload(digest, len(content) + 5) == b""
    refuses(DataError, lambda: other.payload("0" * 64))
    refuses(DataError, lambda: other.payload("not a digest"))
    assert ledger.verify().problems == ()


def a_large_reply_comes_back_whole(open_ledger: Open) -> None:
    """A reply of megabytes is kept apart from the rows and is there again in records, trials and cells."""
    ledger = open_ledger()
    text = "".join(random.Random(1).choices("abcdefgh \n", k=1_500_000))
    timing = Timing(1, 4_000_000_000, 2, tuple(range(20_000)))
    reply = Reply(text=text, finish="length", usage=Usage(9, 400_000), timing=timing)
    big = Result(0, 1, 0, 0, 5, "contestant", True, 77, reply)
    with ledger.create_run(plan_of(), [sums(2)]) as writer:
        writer.append([intent(0, 1), big, Scored(0, 1, 0, 0, "exact@1", FAILED)])
        writer.close("complete")
    assert list(ledger.records(writer.run))[3] == big
    assert [r.reply for r in ledger.trials(writer.run)] == [reply]
    cells = ledger.cells(writer.run).columns
    assert (cells["output_tokens"][0, 1], cells["truncated"][0, 1], cells["seconds"][0, 1]) == (400_000, 1, 4)
    assert ledger.verify().problems == ()


def wrong_records_are_refused_whole(open_ledger: Open) -> None:
    """A record of no trial of the plan, or an impossible score, adds nothing of its batch; the writer goes on."""
    ledger = open_ledger()
    with ledger.create_run(plan_of(), [sums(2)]) as writer:
        before = writer.n_records, writer.head
        wrong: list[Record] = [
            intent(1, 0),
            intent(0, 2),
            intent(-1, 0),
            Scored(0, 0, 0, 0, "exact@1", Score(Outcome.PARTIAL)),
            Scored(0, 0, 0, 0, "exact@1", Score(Outcome.PASSED, math.nan)),
            Scored(0, 0, 0, 0, "exact@1", Score(Outcome.PASSED, 1.5)),
        ]
        for record in wrong:
            refuses(DataError, lambda record=record: writer.append([intent(0, 0), record]))  # type: ignore[misc] # bound early
            assert (writer.n_records, writer.head) == before
        writer.append(whole_trial(0, 0))
    assert len(list(ledger.records(writer.run))) == 5


def runs_are_found(open_ledger: Open) -> None:
    """By id, prefix, name (newest) and `last`; an unknown or ambiguous one says what there is."""
    ledger = open_ledger()
    assert ledger.runs() == []
    refuses(DataError, lambda: ledger.find("last"))
    made = []
    for name in ("nightly", "nightly", "other"):
        with ledger.create_run(plan_of(name=name), [sums(2)]) as writer:
            made.append(writer.run)
    assert [r.run for r in ledger.runs()] == made[::-1]
    assert ledger.find("last").run == made[2]
    assert ledger.find("nightly").run == made[1]
    assert ledger.find(made[0]).run == made[0]
    assert ledger.find(made[0][:-1]).run == made[0]
    assert made[2] in str(refuses(DataError, lambda: ledger.find("nothing")))
    refuses(DataError, lambda: ledger.find(""))
    refuses(DataError, lambda: ledger.find(made[0][:4]))


def chains_are_shared(open_ledger: Open) -> None:
    """Votes and annotations: several writers in turn, beside a run that is being written."""
    one, two = open_ledger(), open_ledger()
    with one.create_run(plan_of(), [sums(2)]) as writer:
        a, b = one.open_chain("votes", "week"), two.open_chain("votes", "week")
        sent = []
        for i in range(700):
            row = f"vote {i} \x00".encode() * (i % 7)
            (a if i % 3 else b).append([row])
            sent.append(row)
        head = a.append([b"x", b"y"])
        writer.append(whole_trial(0, 0))
        a.close()
        b.close()
    assert list(two.chain("votes", "week")) == [*sent, b"x", b"y"]
    assert list(two.chain("votes", "week", 695)) == [*sent[695:], b"x", b"y"]
    assert list(two.chain("votes", "none")) == []
    assert [(c.kind, c.key, c.n, c.head) for c in two.chains("votes")] == [("votes", "week", 702, head)]
    assert len(two.chains()) == 2
    refuses(DataError, lambda: one.open_chain("run", writer.run))
    report = two.verify(head=head)
    assert report.problems == ()
    assert report.heads["votes/week"] == head
    with closing(one.open_chain("votes", "once")) as a, closing(two.open_chain("votes", "once")) as b:
        assert a.append_at(0, [b"first"]) is not None
        assert b.append_at(0, [b"too late"]) is None
        assert b.append_at(1, [b"second"]) is not None
    assert list(two.chain("votes", "once")) == [b"first", b"second"]


def verify_knows_heads(open_ledger: Open) -> None:
    """A head noted elsewhere is found, whole or its beginning, also after the run went on; another is not."""
    ledger = open_ledger()
    with ledger.create_run(plan_of(), [sums(2)]) as writer:
        writer.append(whole_trial(0, 0))
        head = writer.close("stopped")
    with ledger.open_run(writer.run) as writer:
        writer.append(whole_trial(0, 1))
        last = writer.close("complete")
    for noted in (head, last, head[:16], head.upper()):
        assert ledger.verify(head=noted).problems == ()
        assert ledger.verify(writer.run, head=noted).problems == ()
    report = ledger.verify(head="0" * 64)
    assert len(report.problems) == 1
    assert (report.n_runs, report.heads) == (1, {writer.run: last})
    for bad in ("abc", "x" * 64, "0" * 65):
        refuses(DataError, lambda bad=bad: ledger.verify(head=bad))  # type: ignore[misc] # bound early


def many_small_appends_stay_readable(open_ledger: Open) -> None:
    """Rows that came one by one are put together behind the scenes; a reader in the middle of them misses none."""
    ledger = open_ledger()
    with ledger.create_run(plan_of(), [sums(50)]) as writer:
        reader = open_ledger().records(writer.run)
        early = []
        for t in range(50):
            for k in range(6):
                for record in whole_trial(0, t, k):
                    writer.append([record])
            if t == 2:
                reader = open_ledger().records(writer.run)
                early = [next(reader) for _ in range(20)]
        early += list(reader)
        writer.close("complete")
    everything = list(ledger.records(writer.run))
    assert len(everything) == 903
    assert everything[: len(early)] == early
    assert ledger.verify().problems == ()


CHECKS: tuple[Callable[[Open], None], ...] = (
    a_run_keeps_its_plan_and_suites,
    records_come_back_in_order,
    a_run_has_one_writer,
    a_resumed_run_knows_what_is_done,
    cells_are_what_the_rows_say,
    trials_are_what_the_rows_say,
    payloads_are_read_whole_and_in_part,
    a_large_reply_comes_back_whole,
    wrong_records_are_refused_whole,
    runs_are_found,
    chains_are_shared,
    verify_knows_heads,
    many_small_appends_stay_readable,
)
