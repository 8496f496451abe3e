"""Votes checked and quarantined by rows; the effect on ranks; nothing is ever deleted."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
import pytest
from tests.arena.kit import KEYS, arena_at

from steelyard.arena.base import Battle
from steelyard.arena.battles import Arena
from steelyard.arena.checks import check, quarantine, release
from steelyard.arena.standing import effect, standing
from steelyard.decide.ranking import Ranking
from steelyard.errors import DataError
from steelyard.ledger.runs import votes_of_chain
from steelyard.schema.vote import Vote

BEST = {"ada": 3, "bob": 2, "cyd": 1}


def votes(arena: Arena, n: int, choose: object, seconds: float, clock: object) -> str:
    """A new person casts `n` votes by `choose(issued)`, each after `seconds`."""
    who = KEYS.annotator(secrets.token_hex(16))
    for i in range(n):
        found = arena.battle(who)
        assert isinstance(found, Battle), found
        issued = arena.battles.issued[found.id]
        clock.wait(seconds)  # type: ignore[attr-defined] # the kit's clock
        arena.vote(found.token, choose(issued, i), who)  # type: ignore[operator] # a function of ours
    return who


def honest(issued: object, i: int) -> str:
    better = BEST[issued.left] > BEST[issued.right]  # type: ignore[attr-defined] # an Issued
    # one in four is a matter of taste
    return "tie" if i % 9 == 0 else "left" if better != (i % 4 == 3) else "right"


def test_fast_and_one_sided_votes_go_to_quarantine_and_come_back(tmp_path: Path) -> None:
    ledger, arena, clock = arena_at(tmp_path)
    good = [votes(arena, 18, honest, 20.0, clock) for _ in range(4)]
    hasty = votes(arena, 5, honest, 0.2, clock)
    for _ in range(2):
        votes(arena, 18, honest, 15.0, clock)
    before = len(list(ledger.chain("votes", "ours")))
    found = check(ledger, "ours", clock=clock)
    assert [(s.check, s.voters, len(s.votes)) for s in found] == [("too_fast", (hasty,), 5)]
    assert found[0].new == 0, "the checks run by themselves after every tenth vote"
    decisions = len(list(ledger.chain("quarantine", "ours")))
    assert check(ledger, "ours", clock=clock)[0].new == 0
    assert len(list(ledger.chain("quarantine", "ours"))) == decisions
    assert len(list(ledger.chain("votes", "ours"))) == before
    arena.follow()
    table = votes_of_chain(ledger, "ours")
    assert table.rows == before - 5
    assert "5 of" in table.notes[0]
    assert votes_of_chain(ledger, "ours", quarantined=True).rows == before
    shown = effect("ours", arena.ballots, arena.quarantine)
    assert (shown.n_held, shown.without.n_votes, shown.with_all.n_votes) == (5, before - 5, before)
    assert isinstance(shown.without.ranking, Ranking)
    assert shown.without.ranking.rows[0].contestant == "ada"
    assert "--quarantined" in shown.with_all.command
    ids = found[0].votes
    assert release(ledger, "ours", ids, by="Zoë", reason="she knows them by heart") == 5
    assert release(ledger, "ours", ids, by="Zoë") == 0
    assert check(ledger, "ours", clock=clock) == []
    assert quarantine(ledger, "ours", ids[:2], by="Ann", reason="second thoughts") == 2
    arena.follow()
    assert {v for v, q in arena.quarantine.held.items() if q.by == "Ann"} == set(ids[:2])
    assert ledger.verify().problems == ()
    assert good


def test_somebody_who_always_takes_the_left_is_found(tmp_path: Path) -> None:
    ledger, arena, clock = arena_at(tmp_path)
    for _ in range(3):
        votes(arena, 18, honest, 20.0, clock)
    lazy = votes(arena, 18, lambda issued, i: "left", 12.0, clock)
    (found,) = check(ledger, "ours", clock=clock)
    assert (found.check, found.voters, len(found.votes)) == ("position_only", (lazy,), 18)
    assert "18 of 18" in found.detail


def test_who_decides_is_named_and_ids_exist(tmp_path: Path) -> None:
    ledger, arena, clock = arena_at(tmp_path)
    votes(arena, 1, honest, 5.0, clock)
    for by in ("", "check:too_fast"):
        with pytest.raises(DataError, match="decides"):
            release(ledger, "ours", [], by=by)
    with pytest.raises(DataError, match="no vote"):
        quarantine(ledger, "ours", ["nope"], by="Ann", reason="x")
    with pytest.raises(DataError, match="no votes"):
        check(ledger, "theirs")


def test_the_command_that_a_standing_names_prints_the_same(tmp_path: Path) -> None:
    # lazy: only this test drives the command line
    from click.testing import CliRunner

    from steelyard.cli.main import main

    _, arena, clock = arena_at(tmp_path)
    for _ in range(3):
        votes(arena, 18, honest, 20.0, clock)
    shown = standing("ours", list(arena.ballots.votes.values()))
    assert isinstance(shown.ranking, Ranking)
    words = shown.command.split()[1:]
    done = CliRunner().invoke(main, [*words, "--ledger", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    import json

    said = {r["contestant"]: r["elo"] for r in json.loads(done.stdout)["rows"]}
    for row in shown.ranking.rows:
        assert said[row.contestant]["value"] == pytest.approx(row.elo.value)
        assert said[row.contestant]["interval"]["low"] == pytest.approx(row.elo.interval.low)  # type: ignore[union-attr] # known


def test_a_clean_sweep_is_ranked_with_a_note_and_no_votes_say_so() -> None:
    none = standing("x", [])
    assert str(none.ranking) == "unknown (no votes yet)"
    sweep = [Vote("a", "b", "left", id=str(i), prompt=f"p{i}", voter="v") for i in range(6)]
    found = standing("x", sweep)
    assert isinstance(found.ranking, Ranking)
    assert "--ridge 0.5" in found.command
    assert any("never lost" in n for n in found.notes)
    ties = standing("x", [Vote("a", "b", "tie", id="1")])
    assert not isinstance(ties.ranking, Ranking)


def test_the_first_votes_of_an_arena_are_a_ranking_or_a_reason() -> None:
    apart = [
        Vote("a", "b", "left", id="1", prompt="p", voter="v"),
        Vote("c", "d", "tie", id="2", prompt="q", voter="v"),
    ]
    found = standing("x", apart)
    assert not isinstance(found.ranking, Ranking), "groups that never met are set beside each other"
    assert "groups that never met" in str(found.ranking)
    rng = np.random.default_rng(1)
    reasons = ranked = 0
    for _ in range(150):
        k, n, style = int(rng.integers(2, 6)), int(rng.integers(2, 14)), bool(rng.random() < 0.5)
        some = []
        for i in range(n):
            a, b = rng.choice(k, 2, replace=False)
            fields: dict[str, object] = {"characters": float(rng.choice([-0.5, 0.0, 0.25])), "bolds": float(rng.choice([0.0, 0.5]))}  # fmt: skip
            winner = ("left", "right", "tie", "both_bad")[int(rng.integers(4))]
            some.append(Vote(f"c{a}", f"c{b}", winner, id=str(i), prompt=f"p{rng.integers(5)}", voter=f"v{rng.integers(12)}", fields=fields))  # type: ignore[arg-type] # one of them # fmt: skip
        shown = standing("x", some, style=style)
        if isinstance(shown.ranking, Ranking):
            ranked += 1
            assert all(isinstance(r.elo.value, float) for r in shown.ranking.rows)
        else:
            reasons += 1
            assert len(shown.ranking.reason) > 20
    assert min(ranked, reasons) > 10
