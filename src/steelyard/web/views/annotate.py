"""View 12: an annotation queue. One blind answer, a label by key; progress, agreement, the judge beside people."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.arena.base import Refused
from steelyard.arena.labels import Agreement, JudgeAgainstPeople, agreement, judge_against_people
from steelyard.arena.queue import Progress, Queue, ToLabel
from steelyard.errors import DataError
from steelyard.schema.annotation import Point
from steelyard.web import people
from steelyard.web.ask import Ask, address, fill
from steelyard.web.base import Act, Body, Done, Raw, Table, View
from steelyard.web.desk import Desk
from steelyard.web.judged import Asked, Shown, asked, asked_media, numbered, rendered, shown, whole


@dataclass(frozen=True, slots=True)
class AnnotatePage:
    """The item that this browser holds (or has labelled, with `?item=`). Blind: no contestant, no other's label."""

    queue: str
    instructions: str
    points: tuple[Point, ...]
    keys: tuple[str, ...]
    item: int | None
    token: str
    prompt: Asked | None
    answer: Shown | None
    own: tuple[str, ...]
    note: str
    before: int | None
    n_done: int
    n_left: int
    labels: int
    wanted: int
    as_rendered: bool
    notice: str
    name: str

    @property
    def title(self) -> str:
        """The queue."""
        return f"Label · {self.queue}"

    @property
    def command(self) -> str:
        """What prints the figures of the queue."""
        return f"steelyard annotate show {self.queue}"

    def table(self) -> Table:
        """This person's place in the queue."""
        columns = ("queue", "item", "labelled_by_you", "left_for_you", "labels", "wanted")
        return Table(columns, [(self.queue, self.item, self.n_done, self.n_left, self.labels, self.wanted)])


@dataclass(frozen=True, slots=True)
class QueuePage:
    """What the labels say: progress, agreement, judge against people."""

    queue: str
    run_id: str
    labels: int
    wanted: int
    items: int
    population: int
    progress: tuple[Progress, ...]
    agreement: tuple[Agreement, ...]
    judge: JudgeAgainstPeople
    contestants: tuple[str, ...]
    names: dict[str, str]

    @property
    def title(self) -> str:
        """The queue."""
        return f"Queue · {self.queue}"

    @property
    def command(self) -> str:
        """What prints the same."""
        only = f" --contestant '{self.judge.contestant}'" if self.judge.contestant else ""
        return f"steelyard annotate show {self.queue}{only}"

    def table(self) -> Table:
        """One row a person."""
        columns = ("annotator", "name", "labelled", "passed_on", "median_seconds")
        return Table(
            columns, [(p.annotator, p.name, p.labelled, p.passed_on, p.median_s) for p in self.progress]
        )


def build(desk: Desk, ask: Ask) -> AnnotatePage:
    """The next item of this browser's person, or one of its earlier ones."""
    queue, who = people.queue(desk, ask.param("queue")), people.me(desk, ask)
    found: ToLabel | None
    if ask.text("item"):
        try:
            found = queue.show(ask.whole("item", 0, 0, len(queue.terms.items) - 1), who)
        except Refused as e:
            raise DataError(e.message, fix=e.fix) from e
    else:
        found = queue.next(who)
    have, wanted = queue.complete()
    answer = None if found is None else shown(found.answer)
    renders = answer is not None and answer.form != "plain"
    return AnnotatePage(
        queue=queue.name,
        instructions=queue.terms.instructions,
        points=queue.terms.points,
        keys=tuple("1234567890"),
        item=None if found is None else found.item,
        token="" if found is None else found.token,
        prompt=None if found is None else asked(found.prompt),
        answer=answer,
        own=() if found is None or found.own is None else found.own.labels,
        note="" if found is None or found.own is None else found.own.note,
        before=_before(queue, who, None if found is None else found.item),
        n_done=sum(1 for rows in queue.state.labels.values() if who in rows),
        n_left=0 if found is None else found.n_left,
        labels=have,
        wanted=wanted,
        as_rendered=renders and ask.one_of("show", ("rendered", "text"), "rendered") == "rendered",
        notice="Kept." if ask.flag("kept") else "",
        name=queue.people.names.get(who, ""),
    )


def _before(queue: Queue, who: str, item: int | None) -> int | None:
    """The item that this person labelled last before `item`."""
    mine = [(rows[who].at, i) for i, rows in queue.state.labels.items() if who in rows]
    now = queue.state.labels.get(item, {}).get(who) if item is not None else None
    earlier = [(at, i) for at, i in mine if i != item and (now is None or at < now.at)]
    return max(earlier)[1] if earlier else None


def build_queue(desk: Desk, ask: Ask) -> QueuePage:
    """The figures of a queue."""
    queue = people.queue(desk, ask.param("queue"))
    names = queue.terms.contestants or queue.answers.names
    only = ask.one_of("contestant", ("", *names), "")
    head = desk.run(queue.terms.run).head
    agreed, judged = desk.lately(
        ("queue", queue.name, only, queue.state.rows, head),
        lambda: (agreement(queue), judge_against_people(desk.ledger, queue, only)),
    )
    have, wanted = queue.complete()
    return QueuePage(
        queue=queue.name,
        run_id=queue.terms.run,
        labels=have,
        wanted=wanted,
        items=len(queue.terms.items),
        population=queue.terms.population,
        progress=tuple(queue.progress()),
        agreement=agreed,
        judge=judged,
        contestants=tuple(names),
        names=dict(queue.people.names),
    )


def _label(desk: Desk, ask: Ask) -> Done:
    queue, who = people.queue(desk, ask.param("queue")), people.me(desk, ask)
    given = [ask.field(f"p{i}") for i in range(len(queue.terms.points))]
    labels = [] if ask.field("pass") else given
    row = queue.label(ask.field("token"), who, labels, ask.field("note"))
    to = fill("/annotate/{queue}", {"queue": queue.name, "show": ask.field("show"), "kept": "1"})
    return Done(address(*to), {"item": row.item})


def _name(desk: Desk, ask: Ask) -> Done:
    queue = people.queue(desk, ask.param("queue"))
    queue.enrol(people.me(desk, ask), ask.field("name"))
    return Done(address(*fill("/annotate/{queue}", {"queue": queue.name})))


def _mine(desk: Desk, ask: Ask) -> ToLabel:
    queue, who = people.queue(desk, ask.param("queue")), people.me(desk, ask)
    try:
        return queue.show(ask.whole("item", 0, 0, len(queue.terms.items) - 1), who)
    except Refused as e:
        raise DataError(e.message, fix=e.fix) from e


def _rendered(desk: Desk, ask: Ask) -> Body:
    return rendered(_mine(desk, ask).answer.text)


def _text(desk: Desk, ask: Ask) -> Body:
    return whole(_mine(desk, ask).answer.text)


def _medium(desk: Desk, ask: Ask) -> Body:
    return numbered(desk.ledger, _mine(desk, ask).answer.media, ask.whole("n", 0))


def _asked(desk: Desk, ask: Ask) -> Body:
    return numbered(desk.ledger, asked_media(_mine(desk, ask).prompt), ask.whole("n", 0))


VIEWS = (
    View("annotate", "/annotate/{queue}", build, script="battle.js", style="judge.css", judges=True),
    View("queue", "/annotate/{queue}/figures", build_queue, style="judge.css"),
)
ACTS = (
    Act("label", "/annotate/{queue}/label", _label, judges=True),
    Act("my_label_name", "/annotate/{queue}/name", _name, judges=True),
)
RAWS = (
    Raw("label_rendered", "/annotate/{queue}/rendered", _rendered, judges=True),
    Raw("label_text", "/annotate/{queue}/text", _text, judges=True),
    Raw("label_medium", "/annotate/{queue}/medium", _medium, judges=True),
    Raw("label_asked", "/annotate/{queue}/asked", _asked, judges=True),
)
