"""`steelyard arena`: blind battles by people. Open one, see its ranking, check its votes, decide on doubtful ones."""

from __future__ import annotations

import getpass
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from steelyard.cli.common import json_option, ledger_option, open_place
from steelyard.cli.out import clean, data, emit_json, guarded, packed, say

if TYPE_CHECKING:
    from steelyard.ledger.base import Ledger


@click.group()
def command() -> None:
    """Blind battles over the answers of runs: people vote in `steelyard view`, ranks come with intervals.

    A private arena over your own prompts is runs of them: `steelyard try PROMPTS` or `steelyard import ANSWERS` first.
    """


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """What the command line said."""

    name: str
    runs: tuple[str, ...]
    contestant: tuple[str, ...]
    explore: float
    expires: float
    reveal: bool
    seed: int | None
    place: str | None
    as_json: bool


@command.command(name="open")
@click.argument("name")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--contestant", multiple=True, metavar="NAME", help="Only these [default: all of the runs].")
@click.option("--explore", default=0.2, show_default=True, help="Share of pairs drawn uniformly.")
@click.option("--expires", default=3600.0, show_default=True, help="Seconds that a battle can be voted on.")
@click.option("--reveal", is_flag=True, help="Show held-out tasks too; marks the split as exposed for good.")
@click.option("--seed", type=int, default=None, help="Of all draws [default: random, and recorded].")
@ledger_option
@json_option
@packed(OpenOptions)
def open_(o: OpenOptions) -> None:
    """Open arena NAME over the answers of each RUN (an id, a name, or `last`, the default).

    Of several runs the same prompts are one task, and answers to them meet whichever run they are of. Contestants that
    share a name but not their settings are told apart.
    """
    # lazy: numpy is needed only now
    from steelyard.arena.battles import Terms, open_arena
    from steelyard.runner.exposure import expose

    ledger = open_place(o.place, create=False)
    terms = Terms(o.contestant, o.explore, o.expires, o.reveal, o.seed)
    made = open_arena(ledger, o.name, o.runs or ("last",), terms)
    if o.reveal:
        versions = [u.version for run in made.runs for u in ledger.plan(run).suites]
        expose(ledger, versions, at=time.time_ns(), by=f"steelyard arena open {o.name} --reveal")
    if o.as_json:
        emit_json(made)
        return
    data(f"arena {made.name} over run {' and '.join(made.runs)}: {clean(' | '.join(made.contestants), 200)}")
    say("vote with: steelyard view")
    say(f"for people who see nothing else: steelyard view --host 0.0.0.0 --only {clean(made.name, 80)}")


@command.command(name="list")
@ledger_option
@json_option
@guarded
def list_(place: str | None, *, as_json: bool) -> None:
    """List votes that are kept: arenas and imported tables."""
    ledger = open_place(place, create=False)
    arenas = {c.key for c in ledger.chains("battles")}
    found = [
        {"name": c.key, "votes": c.n, "kind": "arena" if c.key in arenas else "imported", "head": c.head}
        for c in ledger.chains("votes")
    ]
    if as_json:
        emit_json(found)
        return
    for f in found:
        data(f"{clean(str(f['name']), 60):40}  {f['votes']:>7} votes  {f['kind']}  {str(f['head'])[:16]}")
    if not found:
        data("no votes yet; open an arena: steelyard arena open NAME RUN")


@command.command(name="show")
@click.argument("name")
@click.option("--style", is_flag=True, help="Control for style: length, headers, lists, bold.")
@ledger_option
@json_option
@guarded
def show(name: str, place: str | None, *, style: bool, as_json: bool) -> None:
    """Print arena NAME's ranking as it counts, and what quarantine does to it."""
    # lazy: numpy and scipy are needed only now
    from steelyard.arena.standing import effect
    from steelyard.cli.verdicts import rank_text
    from steelyard.decide.ranking import Ranking
    from steelyard.ledger.votes import ballots

    found = effect(name, *ballots(open_place(place, create=False), name), style=style)
    if as_json:
        emit_json(found)
        return
    one = found.without
    data(rank_text(one.ranking) if isinstance(one.ranking, Ranking) else f"no ranking: {one.ranking.reason}")
    for note in one.notes:
        say(note)
    data(f"{one.n_votes} votes of {one.n_voters} people count; {found.n_held} are in quarantine")
    if found.n_held and isinstance(found.with_all.ranking, Ranking):
        ranks = (
            {r.contestant: r.rank.rank for r in one.ranking.rows} if isinstance(one.ranking, Ranking) else {}
        )
        moved = [r.contestant for r in found.with_all.ranking.rows if ranks.get(r.contestant) != r.rank.rank]
        data(
            "with them, "
            + (f"other ranks for: {clean(' | '.join(moved), 200)}" if moved else "the same ranks")
        )
    data(f"the same: {one.command}")


@command.command(name="check")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Say what is found; quarantine nothing.")
@ledger_option
@json_option
@guarded
def check_(name: str, place: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Check the votes kept under NAME: twice, too fast, by side, together. Doubtful ones go to quarantine."""
    # lazy: numpy and scipy are needed only now
    from steelyard.arena.checks import check, suspicions
    from steelyard.ledger.votes import ballots

    ledger = open_place(place, create=False)
    found = suspicions(*ballots(ledger, name)) if dry_run else check(ledger, name)
    forged = _forged(ledger, name)
    if as_json:
        emit_json({"suspicions": found, "forged": forged})
        return
    for s in found:
        who = f" for {clean(s.favoured, 40)}" if s.favoured else ""
        people = ", ".join(s.voters[:4]) + (f" and {len(s.voters) - 4} more" if len(s.voters) > 4 else "")
        data(
            f"{s.check}{who}: {len(s.votes)} votes ({s.new} new) of {clean(people, 120)}: {clean(s.detail, 200)}"
        )
    if forged:
        data(f"NOT SIGNED HERE: {len(forged)} votes, first {clean(forged[0], 40)}")
    if not found and not forged:
        data("nothing doubtful")


def _forged(ledger: Ledger, name: str) -> list[str]:
    """Votes of an arena that were not signed by this program's key; imported votes have no signatures."""
    # lazy: numpy is needed only now
    from steelyard.arena.battles import Arena
    from steelyard.arena.keys import key_path, load_keys

    if not any(c.key == name for c in ledger.chains("battles")):
        return []
    arena = Arena(ledger, name, load_keys(key_path(ledger.place, Path.home())))
    return arena.forged()


@dataclass(frozen=True, slots=True)
class DecideOptions:
    """What the command line said."""

    name: str
    verb: str
    votes: tuple[str, ...]
    by: str | None
    reason: str
    place: str | None


@command.command(name="decide")
@click.argument("name")
@click.argument("verb", type=click.Choice(["release", "quarantine"]))
@click.argument("votes", nargs=-1, required=True)
@click.option("--by", default=None, metavar="WHO", help="Who decides [default: the user of this machine].")
@click.option("--reason", default="", help="Why; kept with the decision.")
@ledger_option
@packed(DecideOptions)
def decide(o: DecideOptions) -> None:
    """Release VOTES (ids, or a check's name for all that it holds) of NAME from quarantine, or put them there."""
    # lazy: numpy is needed only now
    from steelyard.arena.checks import quarantine, release
    from steelyard.ledger.votes import ballots

    ledger = open_place(o.place, create=False)
    _, state = ballots(ledger, o.name)
    ids = []
    for v in o.votes:
        ids += [k for k, q in state.held.items() if q.reason == v] or [v]
    by = o.by or getpass.getuser()
    if o.verb == "release":
        data(f"{release(ledger, o.name, ids, by=by, reason=o.reason)} votes count again")
    else:
        data(f"{quarantine(ledger, o.name, ids, by=by, reason=o.reason)} votes are in quarantine")
