"""Views 12 and 13, their front door: arenas, votes from elsewhere and annotation queues; new ones are opened here."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.arena.battles import Terms, open_arena
from steelyard.arena.queue import ANNOTATIONS, QueueTerms, open_queue
from steelyard.ledger.base import RunInfo
from steelyard.web import people
from steelyard.web.ask import Ask, address, fill
from steelyard.web.base import Act, Done, Table, View
from steelyard.web.desk import Desk


@dataclass(frozen=True, slots=True)
class ArenaRow:
    """An arena, or votes that were imported (no run then)."""

    name: str
    run: str
    run_name: str
    more: tuple[tuple[str, str], ...]
    contestants: tuple[str, ...]
    n_votes: int
    n_held: int
    n_people: int
    reveal: bool


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A queue and how far it is."""

    name: str
    run: str
    run_name: str
    kind: str
    labels: int
    wanted: int
    n_people: int


@dataclass(frozen=True, slots=True)
class ArenasPage:
    """Everything in this ledger that people judge. `runs` are those that an arena or a queue can be opened on."""

    arenas: tuple[ArenaRow, ...]
    imported: tuple[tuple[str, int], ...]
    queues: tuple[QueueLine, ...]
    runs: tuple[RunInfo, ...]
    title: str = "People as judges"
    command: str = "steelyard arena list"

    def table(self) -> Table:
        """One row an arena, an imported table or a queue."""
        rows: list[tuple[object, ...]] = [
            ("arena", a.name, a.run, a.n_votes, a.n_held, a.n_people) for a in self.arenas
        ]
        rows += [("votes", name, "", n, 0, None) for name, n in self.imported]
        rows += [("queue", q.name, q.run, q.labels, 0, q.n_people) for q in self.queues]
        return Table(("kind", "name", "run", "votes_or_labels", "quarantined", "people"), rows)


def build(desk: Desk, ask: Ask) -> ArenasPage:
    """What the ledger holds."""
    runs = {r.run: r for r in desk.ledger.runs()}
    opened = {c.key for c in desk.ledger.chains("battles") if c.n}
    arenas, imported = [], []
    for chain in desk.ledger.chains("votes"):
        if chain.key not in opened:
            imported.append((chain.key, chain.n))
            continue
        a = people.arena(desk, chain.key)
        cast, held = a.snapshot()
        name = runs[a.terms.run].name if a.terms.run in runs else ""
        arenas.append(
            ArenaRow(
                a.name,
                a.terms.run,
                name,
                tuple((r, runs[r].name if r in runs else "") for r in a.terms.more),
                a.names,
                len(cast.votes),
                len(held.held),
                len(cast.by_voter),
                a.terms.reveal,
            )
        )
    queues = []
    for chain in desk.ledger.chains(ANNOTATIONS):
        q = people.queue(desk, chain.key)
        have, wanted = q.complete()
        name = runs[q.terms.run].name if q.terms.run in runs else ""
        queues.append(QueueLine(q.name, q.terms.run, name, q.terms.kind, have, wanted, len(q.progress())))
    usable = tuple(r for r in runs.values() if r.n_tasks)[:200]
    return ArenasPage(tuple(arenas), tuple(imported), tuple(queues), usable)


def _new_arena(desk: Desk, ask: Ask) -> Done:
    chosen = [r for r in ask.form.get("run", ()) if r] or ["last"]
    made = open_arena(desk.ledger, ask.field("name").strip(), chosen, Terms())
    return Done(address(*fill("/arena/{arena}", {"arena": made.name})), {"arena": made.name})


def _new_queue(desk: Desk, ask: Ask) -> Done:
    sample = ask.field("sample").strip()
    terms = QueueTerms(
        sample=int(sample) if sample.isascii() and sample.isdigit() and int(sample[:9]) > 0 else None,
        instructions=ask.field("question").strip()[:500],
    )
    made = open_queue(desk.ledger, ask.field("name").strip(), ask.field("run") or "last", terms)
    return Done(address(*fill("/annotate/{queue}", {"queue": made.name})), {"queue": made.name})


VIEWS = (View("arenas", "/arena", build, tab="People", scope="ledger", order=60, key="p", style="judge.css"),)
ACTS = (Act("arena_new", "/arena", _new_arena), Act("queue_new", "/annotate", _new_queue))
