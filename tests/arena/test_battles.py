"""Battles and votes: blind, once, signed, durable, repeatable."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

import msgspec
import pytest
from tests.arena.kit import KEYS, Clock, arena_at, make_run

from steelyard.arena.base import Battle, NoBattle, Refused
from steelyard.arena.battles import Arena, Terms, open_arena
from steelyard.arena.keys import Keys, key_path, load_keys
from steelyard.errors import DataError
from steelyard.ledger import open_ledger
from steelyard.schema.battle import Issued
from steelyard.schema.canon import canonical
from steelyard.schema.vote import Vote


def shown(arena: Arena, who: str) -> Battle:
    found = arena.battle(who)
    assert isinstance(found, Battle), found
    return found


def test_a_battle_names_no_contestant_and_is_the_same_until_it_is_voted_on(tmp_path: Path) -> None:
    _, arena, clock = arena_at(tmp_path)
    who = KEYS.annotator(secrets.token_hex(16))
    one, again = shown(arena, who), shown(arena, who)
    assert one.id == again.id
    said = msgspec.json.encode(msgspec.to_builtins([str(one)])).decode()
    assert not any(name in said for name in ("ada", "bob", "cyd"))
    clock.wait(5)
    voted = arena.vote(one.token, "left", who)
    assert voted.first
    assert {voted.left, voted.right} < {"ada", "bob", "cyd"}
    assert shown(arena, who).id != one.id


def test_a_vote_is_a_signed_row_with_side_probability_time_and_style(tmp_path: Path) -> None:
    ledger, arena, clock = arena_at(tmp_path)
    who = KEYS.annotator(secrets.token_hex(16))
    one = shown(arena, who)
    clock.wait(12.5)
    voted = arena.vote(one.token, "both_bad", who)
    (row,) = ledger.chain("votes", "ours")
    vote = msgspec.json.decode(row, type=Vote)
    assert (vote.left, vote.right, vote.winner, vote.voter) == (voted.left, voted.right, "both_bad", who)
    assert vote.seconds == 12.5
    assert vote.probability is not None
    assert 0 < vote.probability <= 1
    assert {"characters", "headers", "lists", "bolds"} <= set(vote.fields)
    assert KEYS.is_signed(vote, who)
    assert not KEYS.is_signed(msgspec.structs.replace(vote, winner="left"), who)
    assert not KEYS.is_signed(vote, KEYS.annotator(secrets.token_hex(16)))
    assert ledger.verify(head=voted.receipt).problems == ()


def test_the_same_battle_twice_keeps_the_first_vote(tmp_path: Path) -> None:
    ledger, arena, _ = arena_at(tmp_path)
    who = KEYS.annotator(secrets.token_hex(16))
    one = shown(arena, who)
    arena.vote(one.token, "left", who)
    second = arena.vote(one.token, "right", who)
    assert (second.first, second.winner) == (False, "left")
    assert len(list(ledger.chain("votes", "ours"))) == 1


def test_two_tabs_in_two_processes_make_one_vote(tmp_path: Path) -> None:
    ledger, arena, clock = arena_at(tmp_path)
    who = KEYS.annotator(secrets.token_hex(16))
    one = shown(arena, who)
    others = [Arena(open_ledger(str(tmp_path)), "ours", KEYS, clock) for _ in range(4)]
    firsts: list[bool] = []
    threads = [
        threading.Thread(target=lambda a=a, c=c: firsts.append(a.vote(one.token, c, who).first))
        for a, c in zip(others, ("left", "right", "tie", "both_bad"), strict=True)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(firsts) == [False, False, False, True]
    assert len(list(ledger.chain("votes", "ours"))) == 1


def test_tokens_are_refused_when_guessed_altered_foreign_or_late(tmp_path: Path) -> None:
    _, arena, clock = arena_at(tmp_path, expires_s=60.0)
    who, other = KEYS.annotator(secrets.token_hex(16)), KEYS.annotator(secrets.token_hex(16))
    one = shown(arena, who)
    for token in ("", ".", "x.y", one.id, one.token[:-2], one.token + "a", f"{one.id}.", "é.ü"):
        with pytest.raises(Refused):
            arena.vote(token, "left", who)
    with pytest.raises(Refused):
        arena.vote(one.token, "left", other)
    with pytest.raises(Refused, match="choice"):
        arena.vote(one.token, "ada", who)
    with pytest.raises(Refused):
        arena.revealed(one.id, who)
    clock.wait(61)
    with pytest.raises(Refused, match="expired"):
        arena.vote(one.token, "left", who)
    assert shown(arena, who).id != one.id


def test_an_annotator_sees_each_pair_of_answers_once_then_is_told_why(tmp_path: Path) -> None:
    _, arena, _ = arena_at(tmp_path)
    who = KEYS.annotator(secrets.token_hex(16))
    seen = set()
    for _ in range(18):  # 3 pairs x 6 tasks
        one = shown(arena, who)
        voted = arena.vote(one.token, "tie", who)
        seen.add((*sorted((voted.left, voted.right)), voted.task))
    assert len(seen) == 18
    none = arena.battle(who)
    assert isinstance(none, NoBattle)
    assert "18 votes" in none.reason


def test_held_out_tasks_are_shown_only_when_the_owner_says_so(tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path), create=True)
    run = make_run(ledger, n=4, held_out=3)
    for name, reveal, expected in (
        ("closed", False, {"sums/q0"}),
        ("open", True, {f"sums/q{i}" for i in range(4)}),
    ):
        open_arena(ledger, name, run, Terms(reveal=reveal))
        arena = Arena(ledger, name, KEYS)
        who, tasks = KEYS.annotator(secrets.token_hex(16)), set()
        while isinstance(one := arena.battle(who), Battle):
            tasks.add(arena.vote(one.token, "tie", who).task)
        assert tasks == expected


def test_sides_are_a_fair_coin_and_draws_repeat(tmp_path: Path) -> None:
    _, arena, clock = arena_at(tmp_path)
    for _ in range(60):
        who = KEYS.annotator(secrets.token_hex(16))
        for _ in range(4):
            arena.vote(shown(arena, who).token, "tie", who)
    issued = list(arena.battles.issued.values())
    lefts = sum(i.left < i.right for i in issued)
    assert 85 <= lefts <= 155, f"{lefts} of {len(issued)} battles had the first name left"
    again = open_ledger(str(tmp_path / "again"), create=True)
    make_run(again)
    terms = arena.terms
    open_arena(again, "ours", "last", Terms(seed=terms.seed), clock)
    twin = Arena(again, "ours", KEYS, clock)
    for i in issued[:40]:
        made = shown(twin, i.annotator)
        found: Issued = twin.battles.issued[made.id]
        assert (found.left, found.right, found.task, found.probability) == (
            i.left,
            i.right,
            i.task,
            i.probability,
        )
        twin.vote(made.token, "tie", i.annotator)


def test_pairs_that_nobody_could_tell_apart_are_not_shown(tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path), create=True)
    run = make_run(
        ledger, names=("ada", "bob"), n=97
    )  # one answer text in common: c * 31 + t mod 97 differs by style
    open_arena(ledger, "ours", run, Terms())
    with pytest.raises(DataError, match="already"):
        open_arena(ledger, "ours", run, Terms())
    with pytest.raises(DataError, match="contestant"):
        open_arena(ledger, "other", run, Terms(contestants=("eve",)))
    for bad in ("", "../x", "a b", ".hidden", "--seed", "x" * 99, "a/b"):
        with pytest.raises(DataError, match="name"):
            open_arena(ledger, bad, run, Terms())


def test_rows_that_were_put_in_by_hand_are_found(tmp_path: Path) -> None:
    ledger, arena, _ = arena_at(tmp_path)
    who = KEYS.annotator(secrets.token_hex(16))
    arena.vote(shown(arena, who).token, "left", who)
    forged = Vote("ada", "bob", "left", id="made-up", voter=who, at=3)
    stolen = msgspec.structs.replace(KEYS.signed(forged, KEYS.annotator(secrets.token_hex(16))), id="other")
    with ledger.open_chain("votes", "ours") as chain:  # type: ignore[attr-defined] # the SQL writer is a context manager
        chain.append([canonical(forged), canonical(stolen)])
    assert arena.forged() == ["made-up", "other"]


def test_the_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = key_path(str(tmp_path), tmp_path)
    made: list[bytes] = []
    threads = [threading.Thread(target=lambda: made.append(load_keys(path).key)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(made)) == 1
    assert path.stat().st_mode & 0o077 == 0
    assert "keys" in str(key_path("postgresql://u:p@h/db", tmp_path))
    assert "u:p" not in str(key_path("postgresql://u:p@h/db", tmp_path))


def test_who_somebody_is_follows_from_its_session_and_our_key_alone() -> None:
    assert KEYS.annotator("a" * 32) == KEYS.annotator("a" * 32) != KEYS.annotator("b" * 32)
    assert KEYS.annotator("a" * 32) != Keys(b"z" * 32).annotator("a" * 32)
    assert len(KEYS.annotator("")) == 16


def test_names_of_annotators_can_change_and_are_cut(tmp_path: Path) -> None:
    _, arena, _ = arena_at(tmp_path)
    who = KEYS.annotator(secrets.token_hex(16))
    arena.enrol(who)
    arena.enrol(who, "Zoë")
    arena.enrol(who)
    assert arena.people.names[who] == "Zoë"
    arena.enrol(who, "x" * 500)
    assert len(arena.people.names[who]) == 60


def test_a_clock_that_goes_back_gives_no_negative_time(tmp_path: Path) -> None:
    ledger, arena, clock = arena_at(tmp_path, Clock())
    who = KEYS.annotator(secrets.token_hex(16))
    one = shown(arena, who)
    clock.wait(-30)
    arena.vote(one.token, "right", who)
    (row,) = ledger.chain("votes", "ours")
    assert msgspec.json.decode(row, type=Vote).seconds == 0.0


def test_a_skip_is_another_battle_and_no_vote(tmp_path: Path) -> None:
    ledger, arena, _ = arena_at(tmp_path)
    first = arena.battle("zoe")
    assert isinstance(first, Battle)
    second = arena.skip(first.token, "zoe")
    assert isinstance(second, Battle)
    assert second.id != first.id
    again = arena.skip(first.token, "zoe")
    assert isinstance(again, Battle)
    assert again.id == second.id, "the same form sent twice skips once"
    assert not arena.ballots.votes
    with pytest.raises(Refused):
        arena.skip(second.token, "yan")
    arena.vote(first.token, "left", "zoe")  # gone back to, before it expired
    assert list(arena.ballots.votes) == [first.id]
    assert not arena.forged()
    ledger.close()
