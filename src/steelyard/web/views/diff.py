"""View 5: two contestants, of one run or of two: the paired verdict, then the tasks that flipped, with both texts.

A task flips when the means of its graded trials differ; wins and losses are the second side's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from shlex import quote

import numpy as np

from steelyard.decide.beside import beside
from steelyard.decide.compare import CompareOptions, Comparison, compare
from steelyard.decide.spending import Spent
from steelyard.errors import DataError
from steelyard.ledger.base import RunInfo
from steelyard.ledger.runs import results_of_run
from steelyard.runner.trials import Filter, TrialView, trial_views
from steelyard.stats.base import Figure, FloatArray, IntArray
from steelyard.unknown import Unknown
from steelyard.web.ask import Ask
from steelyard.web.base import Table, View
from steelyard.web.desk import Desk
from steelyard.web.figures import amount, number, percent, points, span_points
from steelyard.web.tasklist import names_of, task_list
from steelyard.web.views.grid import Cell, Counts, columns_of
from steelyard.web.views.grid import cell as cell_of
from steelyard.web.words import Piece, word_diff

SHOWS = ("flips", "losses", "wins", "all")
PAGE = 50
TEXT = 20_000
"""Characters of an answer that are compared."""


@dataclass(frozen=True, slots=True)
class Side:
    """A contestant of a run; `name` is what the page calls it."""

    run: str
    contestant: str
    c: int
    name: str


@dataclass(frozen=True, slots=True)
class Flip:
    """A task: its number in the left run and in the right one, both sides' trials, and right less left."""

    t: int
    other: int
    suite: str
    task: str
    left: Cell
    right: Cell
    difference: Figure


@dataclass(frozen=True, slots=True)
class Texts:
    """Both sides' trial `k` of one task, and what differs between the answers. `t` and `other` are the task's
    numbers in the left and in the right run."""

    task: str
    t: int
    other: int
    k: int
    n_trials: int
    left: TrialView | None
    right: TrialView | None
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class DiffPage:
    """`comparison` is what `steelyard compare` concludes; `rows` are those of this page (asked for as CSV: all that
    match, made as they are read)."""

    run: RunInfo
    left: Side
    right: Side
    comparison: Comparison | None
    why_none: str
    rows: Iterable[Flip]
    texts: Texts | None
    n_found: int
    n_common: int
    at: int
    pages: int
    notes: tuple[str, ...]
    runs: tuple[tuple[str, str], ...]
    right_contestants: tuple[str, ...]

    @property
    def title(self) -> str:
        """For the tab."""
        return f"{self.right.name} against {self.left.name}"

    @property
    def command(self) -> str:
        """What prints the same verdict."""
        if self.left.run != self.right.run or self.comparison is None:
            return ""
        names = f"--baseline {quote(self.left.contestant)} --contestant {quote(self.right.contestant)}"
        return f"steelyard compare {self.left.run} {names}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """The paired verdict, above the printed table."""
        c = self.comparison
        if c is None:
            return (self.why_none,)
        p = c.paired
        by, means = points(p.difference.value), (percent(p.baseline_mean), percent(p.contestant_mean))
        return (
            f"{c.verdict}: {by} points ({span_points(p.difference)}), left {means[0]} %, right {means[1]} %",
            f"{p.wins} wins, {p.losses} losses, {p.ties} ties; p {number(c.p_value)} ({c.p_method})",
            *c.reasons,
            *(spent_text(what, found) for what, found in c.spending.told),
            *self.notes,
        )

    def table(self) -> Table:
        """One row a task that matches."""
        columns = ("task", "suite", "left", "right", "difference", "left_mean", "right_mean")
        return Table(
            columns,
            (
                (r.task, r.suite, self.left.name, self.right.name, r.difference, r.left.mean, r.right.mean)
                for r in self.rows
            ),
        )


def spent_text(what: str, found: Spent | Unknown) -> str:
    """A figure of money or time: right against left, and the paired difference."""
    if isinstance(found, Unknown):
        return f"{what}: {found}"
    right, left, apart = (amount(e) for e in (found.contestant, found.baseline, found.difference))
    lost = f"; not known on {found.left_out} tasks, which are left out" if found.left_out else ""
    return f"{what}: right {right}, left {left}, difference {apart}{lost}"


def build(desk: Desk, ask: Ask) -> DiffPage:
    """Left is `a` of the run in the path, right is `b` of the run `with` (the same one without it)."""
    run = desk.run(ask.param("run"))
    other = desk.run(ask.text("with")) if ask.text("with") else run
    left, right = sides(desk, ask, run, other)
    mine, theirs = _joined(desk, run, other)
    lefts = desk.cached(run, ("grid", ""), lambda: columns_of(desk, run, ""))
    rights = desk.cached(other, ("grid", ""), lambda: columns_of(desk, other, ""))
    difference = _difference(lefts, rights, (left.c, right.c), (mine, theirs))
    order = _order(ask, difference)
    pages = max(1, -(-order.size // PAGE))
    at = min(ask.whole("page", 1, 1), pages)
    whole = ask.text("format") == "csv"
    chosen = order if whole else order[(at - 1) * PAGE : at * PAGE]
    rows = _flips(
        desk,
        run,
        (lefts, rights),
        (left.c, right.c),
        (mine[chosen].tolist(), theirs[chosen].tolist(), difference[chosen].tolist()),
    )
    comparison, why = _compared(desk, (run, other), (left, right))
    return DiffPage(
        run=run,
        left=left,
        right=right,
        comparison=comparison,
        why_none=why,
        rows=rows if whole else tuple(rows),
        texts=_texts(desk, ask, (run, other), (left, right), (mine, theirs)),
        n_found=int(order.size),
        n_common=int(mine.size),
        at=at,
        pages=pages,
        notes=_notes(desk, run, other),
        runs=tuple((r.run, r.name or r.run) for r in desk.ledger.runs()[:60]),
        right_contestants=other.contestants,
    )


def sides(desk: Desk, ask: Ask, run: RunInfo, other: RunInfo) -> tuple[Side, Side]:
    """By default the best two of one run, or the first contestant that both runs have."""
    a, b = ask.text("a"), ask.text("b")
    if run.run != other.run:
        shared = next((n for n in run.contestants if n in other.contestants), run.contestants[0])
        a = a or shared
        b = b or (a if a in other.contestants else other.contestants[0])
    else:
        board = [x.contestant for x in desk.results(run).board.overall] if not (a and b) else []
        b = b or next((n for n in board if n != a), run.contestants[0])
        a = a or next((n for n in board if n != b), b)
    left, right = desk.contestant(run, a), desk.contestant(other, b)
    marked = run.run != other.run
    return (
        Side(run.run, a, left, f"{a} ({run.name or run.run})" if marked else a),
        Side(other.run, b, right, f"{b} ({other.name or other.run})" if marked else b),
    )


def _joined(desk: Desk, run: RunInfo, other: RunInfo) -> tuple[IntArray, IntArray]:
    """Numbers of the tasks that both runs have, by suite and id; in the left run's order."""
    if run.run == other.run or run.plan_hash == other.plan_hash:
        every = np.arange(run.n_tasks)
        return every, every
    theirs = {key: t for t, key in enumerate(_keys(desk, other))}
    found = [(t, theirs[key]) for t, key in enumerate(_keys(desk, run)) if key in theirs]
    if not found:
        raise DataError(
            "the runs have no task in common", wanted="tasks of the same suite and id", got="none"
        )
    return np.array([t for t, _ in found]), np.array([o for _, o in found])


def _keys(desk: Desk, run: RunInfo) -> list[tuple[str, str]]:
    ready, ids = desk.ready(run), task_list(desk, run).ids
    keys = []
    for s, suite in enumerate(ready.suites):
        start = ready.offsets[s]
        keys += [(ready.plan.suites[s].name, i) for i in ids[start : start + len(suite)]]
    return keys


def _difference(
    lefts: Counts, rights: Counts, who: tuple[int, int], tasks: tuple[IntArray, IntArray]
) -> FloatArray:
    """Right less left by common task; NaN where a side has no graded trial."""
    a = lefts.means[who[0], tasks[0]].astype(np.float64)
    b = rights.means[who[1], tasks[1]].astype(np.float64)
    gap: FloatArray = b - a
    return gap


def _order(ask: Ask, difference: FloatArray) -> IntArray:
    """Losses first, the largest first, then wins, then the rest in the suite's order."""
    show = ask.one_of("show", SHOWS, "flips")
    gap = np.nan_to_num(difference, nan=0.0)
    keep = {"flips": gap != 0, "losses": gap < 0, "wins": gap > 0, "all": np.ones(gap.size, dtype=bool)}[show]
    found = np.flatnonzero(keep)
    rank = np.where(gap[found] < 0, 0, np.where(gap[found] > 0, 1, 2))
    return found[np.lexsort((found, -np.abs(gap[found]), rank))]


def _flips(
    desk: Desk,
    run: RunInfo,
    data: tuple[Counts, Counts],
    who: tuple[int, int],
    chosen: tuple[Sequence[int], Sequence[int], Sequence[float]],
) -> Iterator[Flip]:
    """Some tasks; `chosen` are their numbers left and right, and the differences."""
    # read before the first row is made: what goes wrong must not break off a download
    names = names_of(desk, run, chosen[0])
    return (
        Flip(
            t,
            other,
            suite,
            name,
            cell_of(data[0], who[0], t),
            cell_of(data[1], who[1], other),
            Unknown("a side has no graded trial") if np.isnan(difference) else difference,
        )
        for t, other, difference, (suite, name) in zip(*chosen, names, strict=True)
    )


def _compared(
    desk: Desk, runs: tuple[RunInfo, RunInfo], who: tuple[Side, Side]
) -> tuple[Comparison | None, str]:
    if runs[0].run == runs[1].run and who[0].c == who[1].c:
        one = len(runs[0].contestants) == 1
        why = "the run has one contestant" if one else "a contestant is not compared with itself"
        return None, f"{why}: choose another one, or another run, to compare with"

    def make() -> Comparison:
        left, right = who
        if left.run == right.run:
            results = results_of_run(
                desk.ledger, left.run, amounts=True, only=(left.contestant, right.contestant)
            )
            return compare(results, left.contestant, CompareOptions()).items[0]
        both = [
            results_of_run(desk.ledger, s.run, amounts=True, only=(s.contestant,), qualified=True)
            for s in who
        ]
        return compare(beside(both[0], both[1], (left.name, right.name)), left.name, CompareOptions()).items[
            0
        ]

    try:
        heads = tuple(r.head for r in runs)
        return desk.cached(runs[0], ("diff", who[0], who[1], heads), make), ""
    except DataError as e:
        return None, e.message


def _texts(
    desk: Desk,
    ask: Ask,
    runs: tuple[RunInfo, RunInfo],
    who: tuple[Side, Side],
    tasks: tuple[IntArray, IntArray],
) -> Texts | None:
    if not ask.text("t"):
        return None
    t, k = ask.whole("t", 0), ask.whole("k", 0)
    place = np.flatnonzero(tasks[0] == t)
    if not place.size:
        raise DataError("?t", wanted="the number of a task that both sides have", got=str(t))
    other = int(tasks[1][place[0]])
    found: list[tuple[TrialView, ...]] = []
    for run, side, at in zip(runs, who, (t, other), strict=True):
        ready = desk.ready(run)
        s, i = ready.locate(at)
        wanted = Filter(contestant=side.contestant, limit=200, task_number=at)
        reveal = not desk.hides(run, ready.suites[s].task(i))
        found.append(tuple(trial_views(desk.ledger, run.run, wanted, reveal=reveal)))
    left, right = (next((v for v in views if v.trial == k), None) for views in found)
    pieces = word_diff(left.answer[:TEXT], right.answer[:TEXT]) if left and right else ()
    name = names_of(desk, runs[0], [t])[0][1]
    return Texts(name, t, other, k, max(len(found[0]), len(found[1])), left, right, pieces)


def _notes(desk: Desk, run: RunInfo, other: RunInfo) -> tuple[str, ...]:
    said = [
        "trials were added until scores were known well enough: the summary's intervals hold at every look, this one "
        "as if their number had been fixed before"
        for r in dict.fromkeys((run.run, other.run))
        if desk.ledger.plan(r).trials.until is not None
    ][:1]
    if run.run == other.run:
        if len(run.suites) > 1:
            said.append("every task counts once here; in the summary every suite counts once")
        return tuple(said)
    mine = {u.name: u.version for u in desk.ready(run).plan.suites}
    theirs = {u.name: u.version for u in desk.ready(other).plan.suites}
    return *said, *(
        f"suite {name} has another version in the other run: tasks are joined by id, and may differ"
        for name in mine
        if name in theirs and mine[name] != theirs[name]
    )


VIEWS = (View("diff", "/runs/{run}/diff", build, tab="Compare", order=30, key="d", style="grid.css"),)
