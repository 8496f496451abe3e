"""What a writer must bear: hostile text, impossible numbers, its size and cost."""

from __future__ import annotations

import random
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from steelyard.errors import DataError
from steelyard.ledger import open_ledger
from steelyard.ledger.resume import DoneTrials
from steelyard.schema.message import ToolCall
from steelyard.schema.record import Intent, Record, Result, Scored
from steelyard.schema.reply import Reply, Timing, Usage
from steelyard.schema.score import PASSED, Score
from steelyard.schema.task import Task
from steelyard.testing.ledger_rows import ListSuite, intent, plan_of, sums, whole_trial


def answer(text: str, **more: object) -> Result:
    return Result(0, 0, 0, 0, 1, "contestant", True, 1, Reply(text=text, **more))  # type: ignore[arg-type] # test data


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("half a pair \ud83d here", "half a pair \ufffd here"),
        ("a whole pair as two halves \ud83d\ude00", "a whole pair as two halves \U0001f600"),
        ("\x00\x1b[31m\u202e", "\x00\x1b[31m\u202e"),
    ],
)
def test_any_text_of_a_model_is_kept(tmp_path: Path, sent: str, kept: str) -> None:
    with closing(open_ledger(str(tmp_path))) as ledger:
        with ledger.create_run(plan_of(), [sums(1)]) as writer:
            writer.append([answer(sent, tool_calls=(ToolCall("1", sent, sent),)), *whole_trial(0, 0, 1)])
            writer.append([Scored(0, 0, 0, 0, "s", Score(PASSED.outcome, 1.0, extracted=sent))])
        first = next(iter(ledger.trials(writer.run)))
        assert first.reply is not None
        assert first.score is not None
        assert (first.reply.text, first.reply.tool_calls[0].arguments, first.score.extracted) == (kept,) * 3
        assert ledger.verify().problems == ()


def test_numbers_that_a_provider_made_up_do_not_spoil_the_sums(tmp_path: Path) -> None:
    with closing(open_ledger(str(tmp_path))) as ledger:
        with ledger.create_run(plan_of(), [sums(1)]) as writer:
            for usage in (Usage(-5, -7), Usage(2**62, 2**63), Usage(3, 4)):
                writer.append([answer("x", usage=usage, timing=Timing(2**62, 2**62))] * 3)
            with pytest.raises(DataError, match="64 bits"):
                writer.append([answer("x", usage=Usage(10**30, 1))])
            for cost in (-1, 10**18):
                with pytest.raises(DataError, match="cost"):
                    writer.append([Result(0, 0, 0, 0, 1, "contestant", True, cost)])
            writer.close("complete")
        columns = ledger.cells(writer.run).columns
        assert 9 <= columns["input_tokens"][0, 0] < 2.0**53
        assert 0 < columns["seconds"][0, 0] < 1e11
        assert ledger.verify().problems == ()


def test_sums_that_outgrow_their_column_stay_exact(tmp_path: Path) -> None:
    with closing(open_ledger(str(tmp_path))) as ledger:
        with ledger.create_run(plan_of(), [sums(3)]) as writer:
            one = msgspec.structs.replace(answer("x", usage=Usage(2**31, 2**32)), cost=2**40, final=False)
            writer.append([one] * 300)
            writer.append(whole_trial(0, 2))
            writer.close("complete")
        wanted = (300, 300 * 2**40, 300 * 2**31, 300 * 2**32)
        for again in (ledger, open_ledger(str(tmp_path))):
            columns = again.cells(writer.run).columns
            names = ("attempts", "cost_pusd", "input_tokens", "output_tokens")
            assert tuple(columns[name][0, 0] for name in names) == wanted
            assert tuple(columns[name][0, 2] for name in names) == (1, 10, 20, 5)
        assert ledger.verify().problems == ()


def test_a_repeat_that_no_memory_could_hold_is_refused(tmp_path: Path) -> None:
    with (
        closing(open_ledger(str(tmp_path))) as ledger,
        ledger.create_run(plan_of(), [sums(20_000)]) as writer,
    ):
        with pytest.raises(DataError, match="k below 5000"):
            writer.append([intent(0, 0, 5000)])
        writer.append([intent(0, 0, 300)])
        assert ledger.resume_state(writer.run).attempts == {(0, 0, 300): 1}


def sums_like_a_benchmark(n: int) -> ListSuite:
    rng = random.Random(1)
    pairs = [(rng.randrange(10_000), rng.randrange(10_000)) for _ in range(n)]
    return ListSuite(
        "arithmetic",
        [
            Task(f"a{i}", f"What is {a} + {b}? Answer with the number only.", str(a + b))
            for i, (a, b) in enumerate(pairs)
        ],
    )


def samples(n: int) -> list[list[Record]]:
    """Batches of 64 single-turn samples with a small identical completion."""
    rng = random.Random(2)
    order = list(range(n))
    rng.shuffle(order)
    made: list[list[Record]] = []
    for i in range(0, n, 64):
        batch: list[Record] = []
        for t in order[i : i + 64]:
            at = 1_795_000_000_000_000_000 + rng.randrange(10**13)
            timing = Timing(rng.randrange(10**6), rng.randrange(10**7))
            usage, response = Usage(21, 6), f"chatcmpl-{rng.randbytes(6).hex()}"
            reply = Reply(
                "The answer is 42.", usage=usage, model="stub-1", response_id=response, timing=timing
            )
            batch += [
                Intent(0, t, 0, 0, at, rng.getrandbits(63), 400_000),
                Result(0, t, 0, 0, at + rng.randrange(10**7), "contestant", True, 12_345, reply),
                Scored(0, t, 0, 0, "exact@1", Score(PASSED.outcome, 1.0, extracted="42")),
            ]
        made.append(batch)
    return made


def size_of(place: Path) -> int:
    return sum(p.stat().st_size for p in place.rglob("*") if p.is_file())


def test_a_sample_costs_at_most_600_bytes_and_40_microseconds(tmp_path: Path) -> None:
    n = 5_000
    suite, batches = sums_like_a_benchmark(n), samples(n)
    with closing(open_ledger(str(tmp_path))) as ledger:
        with ledger.create_run(plan_of(), [suite]) as writer:
            began = time.process_time()
            for batch in batches:
                writer.append(batch)
            spent = (time.process_time() - began) / n
            writer.close("complete")
        assert size_of(tmp_path) / n <= 600, "with the ledger still open"
    each = size_of(tmp_path) / n
    assert each <= 300, f"{each:.0f} bytes a sample: still below 600, but far from the 110 that it was"
    # the budget is 40; a machine that is busy with other things is granted more
    assert spent <= 120e-6, f"{spent * 1e6:.0f} microseconds a sample"


def test_appending_one_by_one_costs_at_most_600_bytes_too(tmp_path: Path) -> None:
    n = 1_000
    with closing(open_ledger(str(tmp_path))) as ledger:
        with ledger.create_run(plan_of(), [sums_like_a_benchmark(n)]) as writer:
            for batch in samples(n):
                for record in batch:
                    writer.append([record])
            writer.close("complete")
        assert ledger.verify().problems == ()
    assert size_of(tmp_path) / n <= 600


def test_done_trials_equal_a_set_of_them() -> None:
    rng = random.Random(9)
    for _ in range(50):
        slow: set[tuple[int, int]] = set()
        fast = DoneTrials(bytearray(3))
        for _ in range(rng.randrange(900)):
            one = rng.randrange(3), rng.choice([rng.randrange(6), rng.randrange(300)])
            assert fast.mark(*one) is (one not in slow)
            slow.add(one)
        for k in range(256 * 2):
            assert fast.is_done(1, k) is ((1, k) in slow)
        assert sorted(fast) == sorted(slow)


def test_a_released_or_entered_writer_gives_up_its_hold(tmp_path: Path) -> None:
    with closing(open_ledger(str(tmp_path))) as ledger:
        with pytest.raises(DataError), ledger.create_run(plan_of(), [sums(1)]) as writer:
            writer.append([intent(0, 0), intent(0, 9)])
        with ledger.open_run(writer.run) as writer:
            writer.append([intent(0, 0)])
        assert ledger.find(writer.run).status == "open"
        assert [f.t for f in ledger.resume_state(writer.run).in_flight] == [0]
        assert not list((tmp_path / "locks").iterdir())
