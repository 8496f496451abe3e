"""An annotation queue: people grade single answers, blind, several of them the same ones.

Not covered: agreement and what labels say of a judge (`arena.labels`, over `stats`), showing (`web`). One chain:
`annotations/NAME` holds the terms, the leases and the labels. Nobody sees a contestant's name or another's label
before the own one is durable. A lease keeps an item for one person for a while; what two people label all the same
(a lease ran out) is kept, both.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np

from steelyard.arena.answers import Answers
from steelyard.arena.base import Answer, Prompt, Refused, checked_name
from steelyard.arena.journal import Journal
from steelyard.arena.keys import Keys
from steelyard.arena.state import People
from steelyard.errors import DataError
from steelyard.ledger.base import Ledger
from steelyard.schema.annotation import Annotation, Item, Leased, Point, QueueOpened, QueueRow
from steelyard.schema.canon import canonical
from steelyard.schema.score import Outcome

ANNOTATIONS = "annotations"
MANY = 100_000
"""Cells of a run beyond which items are drawn from judged trials: looking for others reads every row of the run."""
Kind = Literal["pass_fail", "scale", "labels", "rubric"]
PASS_FAIL = (Point("verdict", ("pass", "fail")),)
_row: msgspec.json.Decoder[QueueRow] = msgspec.json.Decoder(QueueRow)


@dataclass(frozen=True, slots=True)
class QueueTerms:
    """How to open a queue.

    `points`: what is asked (`pass_fail_points`, `scale_points`, ...). `sample` items are drawn from the run's
    measured trials with a seed (None: all), from these `contestants` (empty: all) and from trials with this `outcome`
    (empty: any). A share `overlap` of items is labelled by `people` persons, the others by one.
    """

    kind: Kind = "pass_fail"
    points: tuple[Point, ...] = PASS_FAIL
    sample: int | None = None
    contestants: tuple[str, ...] = ()
    outcome: str = ""
    overlap: float = 0.2
    people: int = 2
    lease_s: float = 900.0
    reveal: bool = False
    instructions: str = ""
    seed: int | None = None


def scale_points(low: int, high: int, text: str = "") -> tuple[Point, ...]:
    """One point with whole numbers as its labels, the best first."""
    if not 1 <= high - low <= 20:
        raise DataError("a scale", wanted="2 to 21 steps", got=f"{low} to {high}")
    return (Point("scale", tuple(str(n) for n in range(high, low - 1, -1)), text),)


def label_points(labels: Sequence[str], text: str = "") -> tuple[Point, ...]:
    """One point with these labels."""
    return (_checked(Point("label", tuple(labels), text)),)


def rubric_points(rubric: object, where: str = "rubric") -> tuple[Point, ...]:
    """Points from a document: a list of texts, or of {name, text, labels}; without labels: met, not met."""
    if not isinstance(rubric, list) or not rubric:
        raise DataError("a rubric is a list", where=where, wanted="[{name, text, labels}, ...]")
    points = []
    for i, given in enumerate(rubric):
        entry = {"name": given} if isinstance(given, str) else given
        if not isinstance(entry, dict) or not str(entry.get("name", "")).strip():
            raise DataError("a point without a name", where=f"{where}[{i}]", wanted="name, text, labels")
        extra = set(entry) - {"name", "text", "labels"}
        if extra:
            raise DataError(f"no field {min(extra)!r}", where=f"{where}[{i}]", wanted="name, text, labels")
        labels = entry.get("labels") or ["met", "not met"]
        if not isinstance(labels, list):
            raise DataError("labels", where=f"{where}[{i}]", wanted="a list", got=repr(labels))
        points.append(
            _checked(Point(str(entry["name"]), tuple(map(str, labels)), str(entry.get("text", ""))))
        )
    if len({p.name for p in points}) < len(points):
        raise DataError("two points have one name", where=where)
    return tuple(points)


def _checked(point: Point) -> Point:
    if not 2 <= len(point.labels) <= 40 or len(set(point.labels)) < len(point.labels) or "" in point.labels:
        raise DataError(
            f"labels of {point.name!r}", wanted="2 to 40 different ones", got=str(list(point.labels))
        )
    return point


def open_queue(
    ledger: Ledger, name: str, run: str, terms: QueueTerms, clock: Callable[[], int] = time.time_ns
) -> QueueOpened:
    """Open a queue over the trials of a run. Raises DataError for a name that is taken, or when nothing is to label."""
    checked_name(name, "queue")
    if not (0.0 <= terms.overlap <= 1.0 and 1 <= terms.people <= 20 and 10.0 <= terms.lease_s <= 86400.0):
        raise DataError("terms of a queue", wanted="overlap 0 to 1, people 1 to 20, a lease of 10 s to a day")
    seed = secrets.randbits(48) if terms.seed is None else terms.seed
    found, answers = _candidates(ledger, run, terms)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(found))[: terms.sample]
    shared = int(np.ceil(terms.overlap * len(order))) if terms.people > 1 else 0
    twice = set(rng.permutation(len(order))[:shared].tolist())
    items = tuple(Item(*found[int(n)], terms.people if i in twice else 1) for i, n in enumerate(order))
    row = QueueOpened(
        name=name,
        run=answers.run,
        at=clock(),
        seed=seed,
        kind=terms.kind,
        points=terms.points,
        items=items,
        population=len(found),
        lease_s=terms.lease_s,
        reveal=terms.reveal,
        instructions=terms.instructions,
        contestants=terms.contestants,
        outcome=terms.outcome,
    )
    state = Labelled()
    journal = Journal(ledger, ANNOTATIONS, name, state)
    try:
        if not journal.commit(lambda: [] if state.terms else [canonical(row)]):
            raise DataError(f"there is a queue called {name!r} already", fix="give another name")
    finally:
        journal.close()
    return row


def _candidates(ledger: Ledger, run: str, terms: QueueTerms) -> tuple[list[tuple[int, int, int]], Answers]:
    answers = Answers(ledger, run, reveal=terms.reveal)
    unknown = [n for n in terms.contestants if n not in answers.names]
    if unknown:
        raise DataError("no such contestant in this run", wanted=" | ".join(answers.names), got=unknown[0])
    wanted = {answers.names.index(n) for n in terms.contestants} or set(range(len(answers.names)))
    done = answers.done()
    if terms.outcome:
        names = {o.name.lower(): int(o) for o in Outcome}
        if terms.outcome not in names:
            raise DataError("an outcome", wanted=", ".join(names), got=terms.outcome)
        scored = ledger.scores(answers.run)
        cells = [(c, t, k) for c, t, k, outcome, _ in scored if outcome == names[terms.outcome]]
    elif done.size <= MANY:
        cells = list(ledger.finished(answers.run))
    else:
        cells = [(c, t, k) for c, t, k, _, _ in ledger.scores(answers.run)]
    found = sorted(cell for cell in cells if cell[0] in wanted and done[cell[0], cell[1]])
    if not found:
        raise DataError(
            "no trial to label",
            where=f"run {answers.run}",
            wanted="finished trials of public tasks",
            fix="run more, or decide to show held-out tasks (--reveal)",
        )
    return found, answers


@dataclass(slots=True)
class Labelled:
    """The chain of a queue: `terms`, each person's newest label of each item, and who holds what until when."""

    terms: QueueOpened | None = None
    labels: dict[int, dict[str, Annotation]] = field(default_factory=lambda: defaultdict(dict))
    leases: dict[int, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    rows: int = 0

    def feed(self, row: bytes) -> None:
        """Take the next row."""
        found = _row.decode(row)
        self.rows += 1
        if isinstance(found, QueueOpened):
            self.terms = self.terms or found
        elif isinstance(found, Leased):
            self.leases[found.item][found.annotator] = found.until
        else:
            self.labels[found.item][found.annotator] = found
            self.leases[found.item].pop(found.annotator, None)


@dataclass(frozen=True, slots=True)
class ToLabel:
    """One answer to grade, blind. `n_done` and `n_left` are this person's."""

    item: int
    token: str
    prompt: Prompt
    answer: Answer
    n_done: int
    n_left: int
    until: int
    own: Annotation | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What one person has done. `median_s` is the usual time of a label, None before the first."""

    annotator: str
    name: str
    labelled: int
    passed_on: int
    median_s: float | None
    last_at: int


class Queue:
    """One queue of a ledger. Threads and processes may share it."""

    def __init__(
        self, ledger: Ledger, name: str, keys: Keys, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.name, self.keys, self._clock = name, keys, clock
        self.state, self.people = Labelled(), People()
        self._journal = Journal(ledger, ANNOTATIONS, name, self.state)
        self._enrolling = Journal(ledger, "annotators", "people", self.people)
        self.follow()
        if self.state.terms is None:
            names = ", ".join(c.key for c in ledger.chains(ANNOTATIONS))
            raise DataError(f"no queue {name!r}", where=ledger.place, wanted=names or "a queue; none is open")
        self.terms = self.state.terms
        self.answers = Answers(ledger, self.terms.run, reveal=self.terms.reveal)

    def follow(self) -> None:
        """Take in what others wrote."""
        self._journal.follow()
        self._enrolling.follow()

    def close(self) -> None:
        """Close the writers' connections."""
        self._journal.close()
        self._enrolling.close()

    def next(self, annotator: str) -> ToLabel | None:
        """The item that this person holds, or another one, leased before it is returned; None when none is left."""
        taken: list[int] = []

        def decide() -> list[bytes]:
            now = self._clock()
            chosen, held = self._choose(annotator, now)
            taken[:] = [] if chosen is None else [chosen]
            if chosen is None or held:
                return []
            return [canonical(Leased(chosen, annotator, now, now + int(self.terms.lease_s * 1e9)))]

        with self._journal.lock:
            self.enrol(annotator)
            self._journal.commit(decide)
        return self.show(taken[0], annotator) if taken else None

    def enrol(self, annotator: str, name: str = "") -> None:
        """Record the annotator, or a new name (what the person typed, up to 60 characters)."""
        self._enrolling.commit(lambda: self.people.enrolled(annotator, name, self._clock()))

    def _choose(self, annotator: str, now: int) -> tuple[int | None, bool]:
        """(item, held already): the own lease first, then the item that lacks least, in the queue's order."""
        best: tuple[int, int] | None = None
        for i, item in enumerate(self.terms.items):
            labels, leases = self.state.labels.get(i, {}), self.state.leases.get(i, {})
            if annotator in labels:
                continue
            if leases.get(annotator, 0) > now:
                return i, True
            others = sum(1 for a, until in leases.items() if a != annotator and until > now)
            lacking = item.wanted - sum(1 for a in labels.values() if a.labels) - others
            # an item that somebody has labelled is finished first: overlap is worth nothing in halves
            if lacking > 0 and (best is None or (lacking < item.wanted, -i) > (best[0] > 0, -best[1])):
                best = (int(lacking < item.wanted), i)
        return (None, False) if best is None else (best[1], False)

    def show(self, item: int, annotator: str) -> ToLabel:
        """An item of this person's: one that it holds or has labelled. Raises Refused for any other."""
        own = self.state.labels.get(item, {}).get(annotator)
        until = self.state.leases.get(item, {}).get(annotator, 0)
        if own is None and not until:
            raise Refused("this item was not handed to you", kind="foreign", fix="ask for the next one")
        where = self.terms.items[item]
        done = sum(1 for found in self.state.labels.values() if annotator in found)
        return ToLabel(
            item=item,
            token=self.keys.token(self.name, annotator, str(item)),
            prompt=self.answers.prompt(where.t),
            answer=self.answers.answer(where.c, where.t, where.k),
            n_done=done,
            n_left=self._left(annotator),
            until=until,
            own=own,
        )

    def _left(self, annotator: str) -> int:
        """How many items still lack a label that this person could give."""
        left = 0
        for i, item in enumerate(self.terms.items):
            labels = self.state.labels.get(i, {})
            left += annotator not in labels and sum(1 for a in labels.values() if a.labels) < item.wanted
        return left

    def label(self, token: str, annotator: str, labels: Sequence[str], note: str = "") -> Annotation:
        """Keep this person's labels of an item, durable on return; no labels: the person passes on it.

        The same labels again add nothing; other labels replace the person's earlier ones. Raises Refused.
        """
        text = self.keys.opened(token, self.name, annotator)
        item = int(text) if text.isdigit() else -1
        self._check(labels)
        found: list[Annotation] = []

        def decide() -> list[bytes]:
            shown = self.show(item, annotator)
            if shown.own is not None and (shown.own.labels, shown.own.note) == (tuple(labels), note[:2000]):
                found[:] = [shown.own]
                return []
            now = self._clock()
            since = shown.until - int(self.terms.lease_s * 1e9) if shown.until else now
            row = Annotation(
                item, annotator, now, tuple(labels), note[:2000], round(max(0, now - since) / 1e9, 3)
            )
            found[:] = [self.keys.signed(row, annotator)]
            return [canonical(found[0])]

        if not 0 <= item < len(self.terms.items):
            raise Refused("no such item", kind="foreign")
        self._journal.commit(decide)
        return found[0]

    def _check(self, labels: Sequence[str]) -> None:
        points = self.terms.points
        if not labels:
            return
        if len(labels) != len(points):
            raise Refused(
                "a label is missing", kind="label", fix="answer " + ", ".join(p.name for p in points)
            )
        for given, point in zip(labels, points, strict=True):
            if given not in point.labels:
                raise Refused(f"no such label of {point.name}", kind="label", fix=", ".join(point.labels))

    def progress(self) -> list[Progress]:
        """Every person who labelled or passed, the busiest first."""
        mine: dict[str, list[Annotation]] = defaultdict(list)
        for found in self.state.labels.values():
            for annotator, row in found.items():
                mine[annotator].append(row)
        out = []
        for annotator, rows in mine.items():
            times = [r.seconds for r in rows if r.labels and r.seconds]
            labelled = sum(1 for r in rows if r.labels)
            usual = float(np.median(times)) if times else None
            name, last = self.people.names.get(annotator, ""), max(r.at for r in rows)
            out.append(Progress(annotator, name, labelled, len(rows) - labelled, usual, last))
        return sorted(out, key=lambda p: (-p.labelled, p.annotator))

    def complete(self) -> tuple[int, int]:
        """(labels there are, labels wanted) over all items; more than wanted of one item count as wanted."""
        have = sum(
            min(item.wanted, sum(1 for a in self.state.labels.get(i, {}).values() if a.labels))
            for i, item in enumerate(self.terms.items)
        )
        return have, sum(i.wanted for i in self.terms.items)

    def forged(self) -> list[int]:
        """Items with labels that nobody here signed."""
        return [
            i
            for i, found in self.state.labels.items()
            if not all(self.keys.is_signed(a, a.annotator) for a in found.values())
        ]
