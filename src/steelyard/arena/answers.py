"""The answers that people judge: tasks and trials of one run, without a name of a contestant in them.

Held-out tasks are left out unless the arena's owner said otherwise. Trials that ended by a fault of a provider, a
sandbox or of ours are no answers. What a contestant wrote is passed on as it is: hostile to whoever shows it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from itertools import accumulate

import msgspec
import numpy as np

from steelyard.arena.base import Answer, Medium, Prompt
from steelyard.arena.media import DATA_URI, files_of, media_in, workspace_of
from steelyard.errors import DataError, EndedBy, LedgerError
from steelyard.ledger.base import Ledger, SuiteData, TrialRow
from steelyard.schema.canon import content_hash
from steelyard.schema.message import Message, text_of
from steelyard.schema.task import Task
from steelyard.schema.trace import Said, Trace, decode_trace
from steelyard.stats.base import BoolArray
from steelyard.stats.ratings_votes import relative_difference

_MEASURED = frozenset(e.value for e in EndedBy if e.is_measurement)
MOST_TRACE = 8 << 20
"""Bytes of a trace that a battle shows; a longer one is shown by its answer."""


UNSHOWN = Medium("the record of this trial", "too long to be shown here")


class Answers:
    """Tasks and trials of a run. Threads may share it as far as they may share the ledger."""

    def __init__(self, ledger: Ledger, run: str, *, reveal: bool = False) -> None:
        self.run = ledger.find(run).run
        self.runs = (self.run,)
        plan = ledger.plan(self.run)
        self.names = tuple(c.name for c in plan.contestants)
        self.suites = tuple(u.name for u in plan.suites)
        self._shuffled = tuple(u.shuffle_choices for u in plan.suites)
        self._ledger, self._reveal = ledger, reveal
        self._kept: list[SuiteData] = ledger.suites(self.run)
        self._starts = [0, *accumulate(len(s) for s in self._kept)]
        self.n_tasks = self._starts[-1]
        self._labels: frozenset[str] | None = None
        self._lock = threading.Lock()  # kept suites unpack into a buffer of their own

    def done(self) -> BoolArray:
        """Which contestant has a finished trial of which task, shape (contestants, tasks); held-out ones as allowed."""
        out = np.asarray(self._ledger.cells(self.run).columns["trials"] > 0, np.bool_)
        if not self._reveal and any(s.header.n_held_out for s in self._kept):
            out &= np.array([self.task(t).split == "public" for t in range(self.n_tasks)])
        return out

    def task(self, t: int) -> Task:
        """The task at index `t` of the run."""
        s = self._suite(t)
        with self._lock:
            return self._kept[s].task(t - self._starts[s])

    def label(self, t: int) -> str:
        """`suite/id` of a task: how votes name it."""
        return f"{self.suites[self._suite(t)]}/{self.task(t).id}"

    def identity(self, t: int) -> str:
        """What a task is: equal for tasks of other runs that ask the same under the same suite and id."""
        task = self.task(t)
        return content_hash([self.label(t), task.input, task.images, task.choices, task.split])

    def has_label(self, label: str) -> bool:
        """Whether a task of this run goes by this label."""
        if self._labels is None:
            self._labels = frozenset(self.label(t) for t in range(self.n_tasks))
        return label in self._labels

    def _suite(self, t: int) -> int:
        if not 0 <= t < self.n_tasks:
            raise DataError(f"run {self.run} has no task {t}", wanted=f"0 to {self.n_tasks - 1}")
        return next(i for i, stop in enumerate(self._starts[1:]) if t < stop)

    def prompt(self, t: int) -> Prompt:
        """What the task asks."""
        task = self.task(t)
        said = (Message("user", task.input),) if isinstance(task.input, str) else task.input
        return Prompt(said, task.images, task.choices)

    def repeats(self, c: int, t: int) -> list[int]:
        """The trials of contestant `c` on task `t` that are answers."""
        return [r.k for r in self._ledger.trials(self.run, {"c": c, "t": t}) if _is_answer(r)]

    def row(self, c: int, t: int, k: int) -> TrialRow:
        """One trial. Raises DataError when there is none."""
        for found in self._ledger.trials(self.run, {"c": c, "t": t, "k": k}):
            return found
        raise DataError(f"run {self.run} has no trial of contestant {c}, task {t}, repeat {k}")

    def answer(self, c: int, t: int, k: int) -> Answer:
        """What is shown of a trial: its text, or the conversation after what was asked, and images, sounds, files."""
        row = self.row(c, t, k)
        reply = row.reply
        text = "" if reply is None else reply.text
        trace = self._trace(row)
        messages = () if trace is None else _of_trace(trace)
        media = (UNSHOWN,) if row.trace and trace is None else ()
        media = (*media, *media_in(messages), *(() if trace is None else files_of(trace)))
        if len(messages) == 1 and not messages[0].tool_calls and text_of(messages[0]) in ("", text):
            messages = ()  # an answer with an image or a sound beside it: nothing that led to it is left to show
        media = (*media, *workspace_of(self._ledger, row.changes))
        if trace is not None and trace.submission and trace.submission != text:
            text = trace.submission if not text else f"{text}\n\n{trace.submission}"
        uri = DATA_URI.match(text.strip())
        if uri is not None:
            media, text = (*media, Medium("answer", uri.group(1), uri.group(2))), ""
        choices = self.task(t).choices
        order = row.order if len(row.order) == len(choices) else ()
        return Answer(
            text=text,
            refusal="" if reply is None else reply.refusal,
            messages=messages,
            media=media,
            options=tuple(choices[i] for i in order) if order else choices,
        )

    def _trace(self, row: TrialRow) -> Trace | None:
        if not row.trace:
            return None
        try:
            payload = self._ledger.payload(row.trace, 0, MOST_TRACE + 1)
            return None if len(payload) > MOST_TRACE else decode_trace(payload)
        except (LedgerError, DataError, msgspec.DecodeError):
            # a trace of another form, or one that is damaged: the answer itself is still there to be judged
            return None


def _is_answer(row: TrialRow) -> bool:
    reply = row.reply
    return row.ended_by in _MEASURED and (
        bool(row.trace or row.changes)
        or (reply is not None and bool(reply.text.strip() or reply.refusal or reply.tool_calls))
    )


def _of_trace(trace: Trace) -> tuple[Message, ...]:
    """The messages after what was asked."""
    said = [e.message for e in trace.events if isinstance(e, Said)]
    first = next((i for i, m in enumerate(said) if m.role in ("assistant", "tool")), len(said))
    return tuple(said[first:])


def same(left: Answer, right: Answer) -> bool:
    """Whether the two answers say the same: such a pair is not shown. How they came about counts where no text is.

    The order in which options were shown counts for an answer by letter, not for one that says the option itself.
    """

    def key(a: Answer) -> tuple[object, ...]:
        text = " ".join(a.text.split())
        said = any(len(o) > 2 and o.casefold() in text.casefold() for o in a.options)
        return (text, a.refusal, a.media, () if said else a.options, () if text else a.messages)

    return key(left) == key(right)


def style(left: Answer, right: Answer) -> dict[str, object]:
    """Style features of a vote, left against right, each (l - r) / (l + r + 1): what style control fits."""
    out: dict[str, object] = {}
    for name, count in _STYLE.items():
        pair = [float(count(_all_text(side))) for side in (left, right)]
        out[name] = round(float(relative_difference(pair[:1], pair[1:])[0]), 6)
    return out


def _all_text(answer: Answer) -> str:
    shown: Sequence[str] = [text_of(m) for m in answer.messages if m.role == "assistant"] or [answer.text]
    return "\n".join(shown)


def _marks(pattern: str) -> Callable[[str], int]:
    found = re.compile(pattern, re.MULTILINE)
    return lambda text: len(found.findall(text))


_STYLE: dict[str, Callable[[str], int]] = {
    "characters": len,
    "headers": _marks(r"^#{1,6} "),
    "lists": _marks(r"^[ \t]*(?:[-*+]|\d+[.)]) "),
    "bolds": _marks(r"\*\*[^*\n]+\*\*|__[^_\n]+__"),
}
STYLE_FEATURES = tuple(_STYLE)
