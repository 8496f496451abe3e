"""Result files of any tool as one table of verdicts, without bringing them into a ledger.

Not covered: transcripts and traces (`importers` keeps those). Other tools' formats are read by the same readers as an
import; what has no verdict there is ungraded here, never wrong.
"""

from __future__ import annotations

from pathlib import Path

from steelyard.errors import DataError
from steelyard.ledger.importers.base import ImportOptions, TrialIn
from steelyard.ledger.importers.keep import READERS
from steelyard.ledger.importers.sniff import KNOWN, sniff
from steelyard.ledger.tables import Table, is_table_name, read_table
from steelyard.schema.score import Outcome


def read_any(path: Path) -> Table:
    """The table in a file of any supported shape; `Table.shape` says which. Raises DataError with what was found."""
    form = "table" if is_table_name(path) and path.suffix != ".json" and not path.is_file() else sniff(path)
    if form in ("table", "votes"):
        return read_table(path)
    trials = list(READERS[form](path, ImportOptions()))
    if not trials:
        raise DataError("the file holds no trials", where=str(path), got=KNOWN[form])
    return _table(trials, str(path), KNOWN[form])


def _table(trials: list[TrialIn], source: str, shape: str) -> Table:
    scorers = list(dict.fromkeys(name for t in trials for name, _ in t.scores))
    columns: dict[str, list[object]] = {
        role: [] for role in ("task", "contestant", "suite", "score", "outcome", "cost", "seconds")
    }
    others: dict[str, list[object]] = {name: [] for name in scorers[1:]}
    numbered = all(t.k is not None for t in trials)
    if numbered:
        columns["trial"] = [t.k for t in trials]
    for trial in trials:
        scores = dict(trial.scores)
        score = scores.get(scorers[0]) if scorers else None
        graded = score is not None and score.outcome is not Outcome.UNGRADED
        timing = None if trial.reply is None else trial.reply.timing
        columns["task"].append(trial.task.id)
        columns["contestant"].append(trial.contestant)
        columns["suite"].append(trial.suite)
        columns["score"].append(score.value if score is not None and graded else None)
        columns["outcome"].append(_outcome(score.outcome) if score is not None else "ungraded")
        columns["cost"].append(None if trial.cost_pusd is None else trial.cost_pusd / 1e12)
        columns["seconds"].append(None if timing is None else timing.done_ns / 1e9)
        for name in scorers[1:]:
            other = scores.get(name)
            others[name].append(None if other is None else other.value)
    for amount in ("cost", "seconds"):
        if all(v is None for v in columns[amount]):
            del columns[amount]
    notes = [f"score: {scorers[0]}"] if scorers else ["no scorer: nothing is graded"]
    if others:
        notes.append("other scorers: " + ", ".join(others) + " (use --column score=NAME)")
    return Table({**columns, **others}, source, shape=shape, spare=tuple(others), notes=tuple(notes))


def _outcome(outcome: Outcome) -> str:
    return outcome.name.lower()
