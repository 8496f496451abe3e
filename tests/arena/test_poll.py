"""Votes as columns: the same votes that count, and the same ranking as the command's, whatever a table leaves out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from steelyard.arena.poll import poll_of, read_poll
from steelyard.arena.standing import effect, effect_of_poll, standing
from steelyard.decide.ranking import Ranking, ranking
from steelyard.errors import DataError
from steelyard.ledger import Ledger, open_ledger
from steelyard.ledger.votes import QUARANTINE, VOTES, ballots, counted_votes
from steelyard.schema.canon import canonical
from steelyard.schema.vote import Quarantined, Vote
from steelyard.stats.ratings import RatingOptions
from steelyard.stats.ratings_votes import votes


def some(n: int, *, voters: int = 12, prompts: int = 30) -> Iterator[Vote]:
    rng = random.Random(n)
    for i in range(n):
        left, right = rng.sample(["zed", "ada", "bob", "cyd"], 2)
        better = "left" if rng.random() < (0.7 if left < right else 0.3) else "right"
        yield Vote(
            left, right, rng.choice([better, better, better, "tie", "both_bad"]),  # type: ignore[arg-type] # one of four
            id=f"v{i % (n - 3)}", prompt=f"p{rng.randrange(prompts)}" if prompts else "",
            voter=f"w{rng.randrange(voters)}" if voters else "",
            fields={"characters": round(rng.uniform(-1, 1), 3), "note": "x"},
        )  # fmt: skip


def kept(place: Path, rows: list[Vote]) -> Ledger:
    ledger = open_ledger(str(place), create=True)
    writer = ledger.open_chain(VOTES, "t")
    writer.append([canonical(v) for v in rows])
    writer.close()
    return ledger


def test_the_votes_that_count_are_those_of_the_ballots(tmp_path: Path) -> None:
    rows = list(some(60))
    rows += [msgspec.structs.replace(v, signature="s" * 64) for v in rows[:4]]  # signed, and there already
    rows.append(Vote("ada", "bob", "left"))  # without an id
    ledger = kept(tmp_path, rows)
    cast, _ = ballots(ledger, "t")
    assert list(counted_votes(ledger, "t")) == list(cast.votes.items())
    with pytest.raises(DataError, match="no votes are kept"):
        list(counted_votes(ledger, "u"))


@pytest.mark.parametrize(("voters", "prompts"), [(12, 30), (3, 30), (0, 30), (12, 0), (0, 0)])
@pytest.mark.parametrize("style", [False, True])
def test_the_effect_is_the_same_from_columns(
    tmp_path: Path, voters: int, prompts: int, *, style: bool
) -> None:
    rows = list(some(200, voters=voters, prompts=prompts))
    ledger = kept(tmp_path, rows)
    writer = ledger.open_chain(QUARANTINE, "t")
    writer.append([canonical(Quarantined(("v3", "v9", "v77"), "by_hand", "zoe", 1))])
    writer.close()
    poll, held, decided = read_poll(ledger, "t")
    assert len(poll) == 200
    assert int(held.sum()) == len(decided.held) == 3
    found, wanted = (
        effect_of_poll("t", poll, held, style=style),
        effect("t", *ballots(ledger, "t"), style=style),
    )
    assert found.n_held == wanted.n_held
    for one, other in ((found.without, wanted.without), (found.with_all, wanted.with_all)):
        # the order of clusters is another, so sums differ in the last digit
        assert replace(one, ranking=other.ranking) == other
        assert isinstance(one.ranking, Ranking)
        assert isinstance(other.ranking, Ranking)
        assert (one.ranking.method, one.ranking.notes) == (other.ranking.method, other.ranking.notes)
        for a, b in zip(one.ranking.rows, other.ranking.rows, strict=True):
            assert (a.contestant, a.votes, a.rank) == (b.contestant, b.votes, b.rank)
            assert a.elo.value == pytest.approx(b.elo.value)
            assert a.elo.se == pytest.approx(b.elo.se)


def test_the_ranking_is_that_of_the_votes() -> None:
    rows = list(some(300))
    table = votes(
        [v.left for v in rows], [v.right for v in rows], [v.winner for v in rows],
        prompt=[v.prompt for v in rows], voter=[v.voter for v in rows],
    )  # fmt: skip
    found = standing("t", rows)
    assert isinstance(found.ranking, Ranking)
    wanted = ranking(table, RatingOptions())
    for one, other in zip(found.ranking.rows, wanted.rows, strict=True):
        assert (one.contestant, one.votes, one.rank) == (other.contestant, other.votes, other.rank)
        assert one.elo.value == pytest.approx(other.elo.value)
        assert one.elo.se == pytest.approx(other.elo.se)
    assert (found.n_votes, found.n_voters) == (300, 12)


def test_no_votes_and_a_contestant_that_meets_itself_say_so() -> None:
    assert standing("t", poll_of([])).ranking.reason == "no votes yet"  # type: ignore[union-attr] # it is Unknown
    assert "meets itself" in str(standing("t", [Vote("a", "a", "left")]).ranking)
