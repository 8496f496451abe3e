"""Ledgers for tests of pages: an ordinary run with all that a page may meet, and a run whose every text is hostile.

Written as records, not run: a second at most, the same bytes of content every time. Ability is planted, so that a test
knows who is better.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from steelyard.ledger import Ledger, open_ledger
from steelyard.schema.canon import canonical
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import Message, ToolCall
from steelyard.schema.plan import Plan, SuiteUse, Trials
from steelyard.schema.price import Price
from steelyard.schema.record import Intent, Record, Result, Scored
from steelyard.schema.reply import Reply, Timing, Usage
from steelyard.schema.score import Outcome, Score, ungraded
from steelyard.schema.task import Task
from steelyard.schema.trace import MEDIA_TYPE, Event, Happened, Said, Trace
from steelyard.testing.ledger_rows import ListSuite

ABILITY = {"alpha-large": 0.86, "beta-medium": 0.72, "gamma-small": 0.55, "delta-nano": 0.3}
"""The share that each contestant of `ordinary` passes, on average."""

SCORER = "exact@1"

SCRIPT = "<script>document.title='owned'</script>"
HOSTILE: tuple[str, ...] = (
    SCRIPT + "<img src=x onerror=\"document.title='owned'\">",
    "\x1b[31mred\x1b[0m bell \x07 null \x00 backspace \x08 c1 \x9b31m",
    "user\u202egnp.exe\u202c and \u2066isolated\u2069 \u200fRLM",
    "\u05e9\u05dc\u05d5\u05dd \u0639\u0631\u0628\u064a 123 (left?) <b>bold</b>",
    '<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=\'owned\'"><text y="9">svg</text></svg>',
    "# Markdown\n\n[link](javascript:document.title='owned') ![broken](http://example.invalid/x.png)\n\n```html\n<b>x</b>",
    "{{ 7*7 }} {% raw %} ${7*7} </pre></textarea></title><style>*{display:none}</style>",
    "=cmd|' /C calc'!A0",
    "x" * 5_000 + "\u0301" * 300,
)
"""Texts that a page must survive."""


def ordinary(place: Path, *, tasks: int = 24, repeats: int = 3, name: str = "ordinary", seed: int = 7) -> str:
    """A run of four contestants on two suites into the ledger at `place`; returns its id.

    Every sixth task is held out. A few trials of gamma-small ended by its provider, delta-nano now and then abstains or
    cannot be read; beta-medium's price is not known for some calls. alpha-large has traces with tool calls.
    """
    rng = random.Random(seed)
    ledger = open_ledger(str(place))
    try:
        suites = [_sums(tasks), _words(tasks)]
        specs = tuple(
            ContestantSpec(n, "endpoint", model=n, provider="stub", price=Price(p, 4 * p, date="2026-11-01"))
            for n, p in zip(ABILITY, (2.5, 0.6, 0.15, 0.02), strict=True)
        )
        uses = tuple(
            SuiteUse(f"{s.header.name}.jsonl", name=s.header.name, version=s.header.version) for s in suites
        )
        plan = Plan(uses, specs, trials=Trials(repeats), name=name, baseline="gamma-small", seed=seed)
        writer = ledger.create_run(plan, suites, name=name)
        with writer:
            at = 1_790_000_000_000_000_000
            for c, t, k in _cells(len(specs), 2 * tasks, repeats):
                at += 250_000_000
                suite, task = suites[t // tasks], suites[t // tasks].task(t % tasks)
                trace = ""
                if c == 0 and suite.header.name == "sums" and task.split == "public":
                    body = canonical(conversation(task, f"{task.target}", tools=True, at=at))
                    trace = writer.put(body, MEDIA_TYPE)
                writer.append(_trial(rng, (c, t, k), task, at, trace))
            writer.close("complete")
        return writer.run
    finally:
        ledger.close()


def _cells(n_c: int, n_t: int, n_k: int) -> Iterator[tuple[int, int, int]]:
    return ((c, t, k) for t in range(n_t) for k in range(n_k) for c in range(n_c))


def _sums(n: int) -> ListSuite:
    return ListSuite("sums", [
        Task(f"sum-{i:02}", f"What is {i} + {7 * i + 3}?", str(8 * i + 3),
             conditions={"size": _size(i, n), "kind": "sum"}, cluster=f"block-{i // 3}",
             split="held_out" if i % 6 == 5 else "public")
        for i in range(n)
    ])  # fmt: skip


def _words(n: int) -> ListSuite:
    words = ("steel", "yard", "weight", "lever", "beam", "poise", "scale", "measure")
    return ListSuite("words", [
        Task(f"word-{i:02}", f"Spell {words[i % 8]} backwards, {i} times.", words[i % 8][::-1],
             conditions={"size": _size(i, n), "kind": "word"}, split="held_out" if i % 6 == 5 else "public")
        for i in range(n)
    ])  # fmt: skip


def _size(i: int, n: int) -> str:
    return ("small", "medium", "large")[min(2, 3 * i // n)]


def _trial(rng: random.Random, cell: tuple[int, int, int], task: Task, at: int, trace: str) -> list[Record]:
    c, t, k = cell
    ability = list(ABILITY.values())[c] - 0.25 * ((t * 7919) % 11 / 11 - 0.5)
    intent = Intent(c, t, k, 0, at, seed=rng.getrandbits(32), reserved=10**9)
    if c == 2 and rng.random() < 0.04:
        ended = Result(
            c, t, k, 0, at + 10**8, "provider", True, 0, None, "http_503", "upstream overloaded (503)"
        )
        return [intent, ended, Scored(c, t, k, 0, SCORER, ungraded("provider", "upstream overloaded (503)"))]
    right = rng.random() < ability
    abstains = c == 3 and rng.random() < 0.1
    unreadable = c == 3 and not right and rng.random() < 0.2
    answer = str(task.target) if right else str(task.target)[:-1] + "9"
    text = "I don't know" if abstains else "hmm..." if unreadable else f"Let me see.\n\nAnswer: {answer}"
    n_in, n_out = 40 + 3 * (t % 5), 12 + rng.randrange(60) * (4 - c)
    took = int(10**9 * (0.2 + 0.4 * (4 - c) * rng.random()))
    reply = Reply(
        text=text,
        usage=Usage(n_in, n_out),
        timing=Timing(took // 5, took, took // 4, tuple(took // 4 + i * took // 20 for i in range(10))),
        model=list(ABILITY)[c],
        reasoning="First the units, then the tens." if c == 0 else "",
    )
    cost = (
        None
        if c == 1 and k == 0 and t % 17 == 3
        else (n_in + 4 * n_out) * (2_500_000, 600_000, 150_000, 20_000)[c]
    )
    result = Result(c, t, k, 0, at + took, "contestant", True, cost, reply, trace=trace)
    score = _score(answer, right=right, abstains=abstains, unreadable=unreadable)
    return [intent, result, Scored(c, t, k, 0, SCORER, score)]


def _score(answer: str, *, right: bool, abstains: bool, unreadable: bool) -> Score:
    if abstains:
        return Score(Outcome.ABSTAINED, 0.0, extracted="", explanation="said that it does not know")
    if unreadable:
        return Score(Outcome.FAILED, 0.0, format_failure=True, explanation="no answer could be read")
    if right:
        return Score(Outcome.PASSED, 1.0, extracted=answer)
    return Score(Outcome.FAILED, 0.0, extracted=answer, explanation="is not the target")


def conversation(task: Task, answer: str, *, tools: bool, at: int, turns: int = 2) -> Trace:
    """A trace: system, user, `turns` tool calls with their results and reasoning, an answer."""
    events: list[Event] = [
        Said(Message("system", "You are careful."), at=at),
        Said(Message("user", task.input if isinstance(task.input, str) else "see above"), at=at),
    ]
    for i in range(turns if tools else 0):
        call = ToolCall(f"call-{i}", "calculator", '{"expression": "' + f"{i} + {i * i}" + '"}')
        events.append(
            Said(
                Message(
                    "assistant", f"Step {i}: I use the calculator.", (call,), reasoning="Check by adding up."
                ),
                at=at + i * 10**9,
                duration_ns=400_000_000,
                usage=Usage(50 + i, 20),
                model="alpha-large",
            )
        )
        said = Message("tool", str(i + i * i), tool_call_id=f"call-{i}", name="calculator")
        events.append(Said(said, at=at + i * 10**9 + 500_000_000, duration_ns=90_000_000))
    events.append(Happened("limit", "10 turns are allowed; none was cut", at=at + turns * 10**9))
    events.append(
        Said(Message("assistant", f"Answer: {answer}"), at=at + turns * 10**9, duration_ns=300_000_000)
    )
    return Trace(
        tuple(events), usage=Usage(110, 60), started_at=at, duration_ns=turns * 10**9, source="scripted twin"
    )


def hostile(place: Path, *, long_line: int = 10_000_000) -> str:
    """A run in which names, tasks, answers, reasoning, causes and traces are `HOSTILE`; one answer has a line of
    `long_line` characters, one an image that is broken. Returns its id."""
    ledger = open_ledger(str(place))
    try:
        names = (f"evil {SCRIPT}", "rtl \u202eevil", "=1+1")
        suite = ListSuite("bad <i>suite</i>", [
            Task(f"task-{i} {text[:40]}", text, text[:50], conditions={"kind <b>": text[:20] or "empty"},
                 images=("data:image/png;base64,bm90IGFuIGltYWdl",) if i == 0 else ())
            for i, text in enumerate((*HOSTILE, "long"))
        ])  # fmt: skip
        specs = tuple(ContestantSpec(n, "endpoint", model=n) for n in names)
        plan = Plan(
            (SuiteUse("bad.jsonl", name=suite.header.name, version=suite.header.version),), specs, name=SCRIPT
        )
        writer = ledger.create_run(plan, [suite], name=SCRIPT)
        with writer:
            for c, t, k in _cells(len(names), len(suite), 1):
                writer.append(
                    _hostile_trial(c, t, k, writer.put(canonical(_hostile_trace(t)), MEDIA_TYPE), long_line)
                )
            writer.close("complete")
        return writer.run
    finally:
        ledger.close()


def _hostile_trial(c: int, t: int, k: int, trace: str, long_line: int) -> Sequence[Record]:
    at = 1_790_000_000_000_000_000 + t
    text = HOSTILE[t] if t < len(HOSTILE) else "y" * (long_line if c == 0 else 1000) + SCRIPT
    reply = Reply(
        text=text, reasoning=text[:5000], usage=Usage(10, 10), timing=Timing(1, 10**9), model=SCRIPT
    )
    intent = Intent(c, t, k, 0, at, seed=1)
    if c == 2 and t < 2:
        ended = Result(c, t, k, 0, at, "provider", True, 0, None, "http_500", HOSTILE[t])
        return [intent, ended, Scored(c, t, k, 0, SCRIPT, ungraded("provider", HOSTILE[t]))]
    score = Score(Outcome(int((c + t) % 2)), float((c + t) % 2), extracted=text[:200], explanation=text[:2000],
                  parts={SCRIPT: 0.5, "ok": 1.0})  # fmt: skip
    return [
        intent,
        Result(c, t, k, 0, at, "contestant", True, 5, reply, trace=trace),
        Scored(c, t, k, 0, SCRIPT, score),
    ]


def _hostile_trace(t: int) -> Trace:
    text = HOSTILE[t % len(HOSTILE)]
    call = ToolCall("1", f"tool {SCRIPT}", '{"not json' + text[:100])
    return Trace(
        (
            Said(Message("system", text)),
            Said(Message("user", text)),
            Said(Message("assistant", text, (call,), reasoning=text)),
            Said(Message("tool", text, tool_call_id="1", name=f"tool {SCRIPT}"), error=text[:50]),
            Happened(f"kind {SCRIPT}", text, data={SCRIPT: text[:50]}),
            Said(Message("assistant", "")),
        ),
        submission=text,
        source=SCRIPT,
    )


def both(place: Path) -> tuple[str, str]:
    """A ledger with an ordinary and a hostile run; their ids."""
    return ordinary(place), hostile(place)


def opened(place: Path) -> Ledger:
    """The ledger at `place`."""
    return open_ledger(str(place), create=False)
