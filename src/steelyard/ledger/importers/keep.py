"""Brings what importers read into the ledger: one run of all the files given, or one chain of votes.

Files are read twice, first to learn contestants and tasks, then to keep; memory grows with the tasks, not the traces.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.errors import DataError, EndedBy
from steelyard.ledger.base import Ledger, RunWriter
from steelyard.ledger.importers import agents, inspect_log, plain, runners
from steelyard.ledger.importers.base import Imported, ImportOptions, Reader, TrialIn
from steelyard.ledger.importers.sniff import KNOWN, sniff
from steelyard.schema.canon import canonical, content_hash
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import text_of
from steelyard.schema.plan import Plan, SuiteUse, Trials
from steelyard.schema.record import Noted, Record, Result, Scored
from steelyard.schema.score import ungraded
from steelyard.schema.task import SuiteHeader, Task
from steelyard.schema.trace import MEDIA_TYPE

READERS: Mapping[str, Reader] = {
    "inspect": inspect_log.read,
    "lm-eval": runners.read_lm_eval,
    "promptfoo": runners.read_promptfoo,
    "swe-agent": agents.read_swe_agent,
    "atif": agents.read_atif,
    "tau-bench": agents.read_tau_bench,
    "table": plain.read,
}
BATCH = 200


def import_results(ledger: Ledger, paths: Sequence[Path], options: ImportOptions | None = None) -> Imported:
    """Import files as one run (or, when they are votes, as one chain). Nothing is kept unless all can be read.

    Raises DataError naming file, line or path for what cannot be understood, for files of results and votes mixed,
    and for a trial that is there twice.
    """
    options = options or ImportOptions()
    if not paths:
        raise DataError("nothing to import", wanted="at least one file")
    if options.format and options.format not in KNOWN:
        raise DataError("no such format", wanted=", ".join(KNOWN), got=options.format)
    formats = [(path, options.format or sniff(path)) for path in paths]
    kinds = sorted({f for _, f in formats})
    if "votes" in kinds:
        if len(kinds) > 1:
            raise DataError(
                "votes and results in one import", got=", ".join(kinds), fix="import them one by one"
            )
        return _votes(ledger, paths, options)
    census = _Census()
    for trial in _read(formats, options):
        census.count(trial)
    if not census.trials:
        raise DataError("no trial is in there", where=", ".join(map(str, paths)))
    return _keep(ledger, formats, options, census)


def _read(formats: Sequence[tuple[Path, str]], options: ImportOptions) -> Iterator[TrialIn]:
    for path, form in formats:
        yield from READERS[form](path, options)


@dataclass(slots=True)
class _Census:
    """Contestants, suites and tasks in order of appearance, and which trials there are."""

    contestants: dict[str, str] = field(default_factory=dict)
    suites: dict[str, dict[str, Task]] = field(default_factory=dict)
    trials: dict[tuple[str, str, str, int], str] = field(default_factory=dict)
    scored: int = 0
    unstated: dict[str, None] = field(default_factory=dict)
    """Contestants that have a trial whose cost is not known, in order of appearance."""

    def count(self, trial: TrialIn) -> int:
        """Take a trial; returns its repeat. Raises DataError when it is there already, or its task differs."""
        self.contestants.setdefault(trial.contestant, trial.model)
        if trial.cost_pusd is None:
            self.unstated[trial.contestant] = None
        tasks = self.suites.setdefault(trial.suite, {})
        known = tasks.setdefault(trial.task.id, trial.task)
        if known != trial.task and known.input != trial.task.input:
            raise DataError(
                f"task {trial.task.id!r} has two different inputs",
                where=trial.where,
                wanted=_shown(known),
                got=_shown(trial.task),
                fix="name the column that tells tasks apart (--field task=COLUMN), or import the files one by one",
            )
        k = self.repeat(trial)
        key = trial.contestant, trial.suite, trial.task.id, k
        if key in self.trials:
            raise DataError(
                f"trial {k} of task {trial.task.id!r} by {trial.contestant!r} is there twice",
                where=trial.where,
                wanted=f"once; the first is in {self.trials[key]}",
                fix="name the contestant of each file, or import them one by one",
            )
        self.trials[key] = trial.where
        self.scored += bool(trial.scores)
        return k

    def repeat(self, trial: TrialIn) -> int:
        """The trial's repeat: its own, else the first that is free."""
        if trial.k is not None:
            return trial.k
        k = 0
        while (trial.contestant, trial.suite, trial.task.id, k) in self.trials:
            k += 1
        return k


class _TaskList:
    """A suite of the tasks that were seen."""

    def __init__(self, name: str, tasks: Iterable[Task]) -> None:
        self._tasks = list(tasks)
        held_out = sum(t.split == "held_out" for t in self._tasks)
        self.header = SuiteHeader(
            name,
            version=content_hash(self._tasks),
            n_public=len(self._tasks) - held_out,
            n_held_out=held_out,
            description="imported",
        )

    def __len__(self) -> int:
        return len(self._tasks)

    def task(self, i: int) -> Task:
        return self._tasks[i]


def _keep(
    ledger: Ledger, formats: Sequence[tuple[Path, str]], options: ImportOptions, census: _Census
) -> Imported:
    kinds = sorted({f for _, f in formats})
    suites = [_TaskList(name, tasks.values()) for name, tasks in census.suites.items()]
    repeats = 1 + max(k for *_, k in census.trials)
    plan = Plan(
        suites=tuple(
            SuiteUse(
                source="imported", name=s.header.name, version=s.header.version, split="all", n_tasks=len(s)
            )
            for s in suites
        ),
        contestants=tuple(
            ContestantSpec(name, "recording", model=model, config={"imported_from": "+".join(kinds)})
            for name, model in census.contestants.items()
        ),
        trials=Trials(count=repeats),
        name=options.name or agents.stem(formats[0][0]),
    )
    index: dict[tuple[str, str], int] = {}
    for name, tasks in census.suites.items():
        for task_id in tasks:
            index[name, task_id] = len(index)
    order = {name: c for c, name in enumerate(census.contestants)}
    source, unstated = "import:" + "+".join(kinds), tuple(census.unstated)
    with ledger.create_run(plan, suites, source=source, unstated=unstated) as writer:
        now = time.time_ns()
        writer.append([Noted(now, "imported", canonical(_origin(p, f)).decode()) for p, f in formats])
        again = _Census()
        batch: list[Record] = []
        for trial in _read(formats, options):
            k = again.count(trial)
            batch += _records(trial, order[trial.contestant], index[trial.suite, trial.task.id], k, writer)
            if len(batch) >= BATCH:
                writer.append(batch)
                batch = []
        writer.append(batch)
        writer.close("complete", "imported")
    return Imported(
        run=writer.run,
        votes="",
        format="+".join(kinds),
        contestants=tuple(census.contestants),
        n_tasks=len(index),
        n_trials=len(census.trials),
        n_scored=census.scored,
        notes=tuple(_notes(census)),
    )


def _records(trial: TrialIn, c: int, t: int, k: int, writer: RunWriter) -> Iterator[Record]:
    trace = writer.put(canonical(trial.trace), MEDIA_TYPE) if trial.trace is not None else ""
    yield Result(
        c,
        t,
        k,
        0,
        at=trial.at,
        ended_by=trial.ended_by,
        final=True,
        cost=trial.cost_pusd,
        reply=trial.reply,
        fault=trial.fault,
        detail=trial.detail,
        trace=trace,
    )
    # the newest score of a trial is the one that counts: the first of the list goes last
    for scorer, score in reversed(trial.scores):
        yield Scored(c, t, k, 0, scorer, score)
    if not trial.scores and not EndedBy(trial.ended_by).is_measurement:
        # nobody can judge it: it is ungraded for good, and not waiting
        yield Scored(c, t, k, 0, "imported", ungraded(trial.fault or trial.ended_by, trial.detail[:500]))


def _notes(census: _Census) -> Iterator[str]:
    missing = len(census.trials) - census.scored
    if missing:
        yield f"{missing} of {len(census.trials)} trials have no score yet: `steelyard rescore` judges them"

    tried: dict[tuple[str, str], set[str]] = {}
    for contestant, suite, task, _ in census.trials:
        tried.setdefault((suite, task), set()).add(contestant)
    if len(census.contestants) > 1 and all(len(by) == 1 for by in tried.values()):
        yield "no task was done by two contestants: is the column that names the task the right one?"


def _origin(path: Path, form: str) -> dict[str, object]:
    """Name, size and hash of an imported file; not its folder, which is nobody's business."""
    hasher, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            hasher.update(chunk)
            size += len(chunk)
    return {"file": path.name, "format": form, "bytes": size, "sha256": hasher.hexdigest()}


def _votes(ledger: Ledger, paths: Sequence[Path], options: ImportOptions) -> Imported:
    rows, names, prompts = list[bytes](), dict[str, None](), set[str]()
    for path in paths:
        for vote in plain.read_votes(
            path, options
        ):  # as bytes: a million votes as objects are half a gigabyte
            rows.append(canonical(vote))
            names[vote.left] = names[vote.right] = None
            prompts.add(vote.prompt)
    key = options.name or agents.stem(paths[0])
    if any(c.key == key for c in ledger.chains("votes")):
        raise DataError(f"there are votes called {key!r} already", fix="give another --name")
    writer = ledger.open_chain("votes", key)
    try:
        writer.append(rows)  # whole or not at all: a part of the votes is no election
    finally:
        writer.close()
    return Imported("", key, "votes", tuple(names), len(prompts - {""}), len(rows), len(rows))


def _shown(task: Task) -> str:
    """A task's question, short; nothing of it when it is held out."""
    if task.split == "held_out":
        return "(the task is held out: its content is not shown)"
    asked = task.input if isinstance(task.input, str) else " / ".join(text_of(m) for m in task.input)
    return repr(asked[:80])
