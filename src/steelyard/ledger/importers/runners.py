"""Other runners' results: lm-eval's samples and promptfoo's output (version 3)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from steelyard.errors import DataError
from steelyard.ledger.importers.agents import stem
from steelyard.ledger.importers.base import (
    ImportOptions,
    Json,
    TrialIn,
    a_count,
    a_list,
    a_text,
    an_object,
    json_lines,
    nanoseconds,
    number,
    parse_json,
    picodollars,
    read_all,
    score_of,
    unix_ns,
)
from steelyard.ledger.importers.chat import message_of
from steelyard.schema.message import Message
from steelyard.schema.reply import Reply, Timing, Usage
from steelyard.schema.score import Outcome, Score, ungraded
from steelyard.schema.task import Task

_SAMPLES = re.compile(r"^samples_(?P<task>.+?)_\d{4}-\d\d-\d\dT[\d\-.:]+$")
_LM_EVAL_KEYS = frozenset(
    f"{name}{suffix}"
    for name, suffixes in {"doc": ("", "_id", "_hash"), "prompt": ("_hash",), "target": ("", "_hash")}.items()
    for suffix in suffixes
) | {"arguments", "resps", "filtered_resps", "filter", "metrics"}


def read_lm_eval(path: Path, options: ImportOptions) -> Iterator[TrialIn]:
    """A `samples_<task>_<date>.jsonl`. Rows of one document that differ in their filter are one trial, scored twice;
    those with the same filter are repeats, in order.

    The file does not name the model: it is `contestant`, else the name of the folder (`org__model`, `model`), as
    lm-eval lays its results out, else the file's.
    """
    match = _SAMPLES.match(stem(path))
    suite = options.suite or (match["task"] if match else stem(path))
    folder = path.resolve().parent.name.replace("__", "/")
    contestant = options.contestant or (folder if match and folder else stem(path))
    merged: dict[tuple[str, int], TrialIn] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for where, row in json_lines(path):
        if "doc_id" not in row:
            raise DataError(
                "not an lm-eval sample", where=where, wanted="doc_id, doc, resps", got=", ".join(row)
            )
        trial = _lm_eval_trial(row, contestant, suite, where)
        named = a_text(row.get("filter"))
        k = seen[trial.task.id, named]
        seen[trial.task.id, named] += 1
        known = merged.get((trial.task.id, k))
        if known is not None:
            scores = (*known.scores, *trial.scores)
            trial = TrialIn(contestant, suite, known.task, k, known.reply, scores=scores, where=known.where)
        elif k and named:
            trial = replace(trial, task=merged[trial.task.id, 0].task, k=k)
        elif k:
            raise DataError(
                f"document {trial.task.id} is there twice",
                where=where,
                wanted="each once a filter",
                got=merged[trial.task.id, 0].where,
            )
        merged[trial.task.id, k] = trial
    yield from merged.values()


def _lm_eval_trial(row: Json, contestant: str, suite: str, where: str) -> TrialIn:
    arguments = row.get("arguments")
    asked: object = None
    if isinstance(arguments, list) and arguments:
        asked = arguments[0][0] if isinstance(arguments[0], list) and arguments[0] else arguments[0]
    elif isinstance(arguments, dict):
        asked = an_object(next(iter(arguments.values()), None)).get("arg_0")
    asked = asked[0] if isinstance(asked, list) and len(asked) == 1 else asked
    name = a_text(row.get("filter"))
    suffix = f"/{name}" if name not in ("", "none") else ""
    listed = [a_text(m) for m in a_list(row.get("metrics"))]
    metrics = [m for m in listed if m in row] or [
        k for k, v in row.items() if k not in _LM_EVAL_KEYS and number(v) is not None
    ]
    response = row.get("resps")
    while isinstance(response, list) and len(response) == 1:
        response = response[0]
    filtered = row.get("filtered_resps")
    picked = filtered[0] if isinstance(filtered, list) and len(filtered) == 1 else filtered
    target = row.get("target")
    return TrialIn(
        contestant=contestant,
        suite=suite,
        task=Task(
            id=a_text(row["doc_id"]),
            input=_prompt(asked),
            target=tuple(map(a_text, target)) if isinstance(target, list) else a_text(target),
            fields=dict(an_object(row.get("doc"))),
        ),
        k=0,
        reply=Reply(text=a_text(response)),
        scores=tuple((f"lm-eval:{m}{suffix}", score_of(row[m], a_text(picked))) for m in metrics),
        where=where,
    )


def _prompt(asked: object) -> str | tuple[Message, ...]:
    """A prompt: a text, or chat messages, also as the JSON text of them."""
    if isinstance(asked, str) and asked.startswith("[{"):
        try:
            asked = parse_json(asked, "prompt")
        except DataError:
            return a_text(asked)
    if isinstance(asked, list) and asked and all(isinstance(m, dict) and "role" in m for m in asked):
        return tuple(message_of(an_object(m)) for m in asked)
    return a_text(asked)


def read_promptfoo(path: Path, options: ImportOptions) -> Iterator[TrialIn]:
    """Output of `promptfoo eval -o results.json` (or `.jsonl`). A provider with a prompt is a contestant."""
    document = _promptfoo_rows(path)
    rows = [(w, r) for w, r in document if "provider" in r or "success" in r]
    if not rows:
        raise DataError("no results", where=str(path), wanted="promptfoo's results.results")
    prompts = {a_text(an_object(r.get("prompt")).get("label")) for _, r in rows}
    for where, row in rows:
        yield _promptfoo_trial(row, options, where, several=len(prompts) > 1, suite=stem(path))


def _promptfoo_rows(path: Path) -> Iterator[tuple[str, Json]]:
    if path.name.removesuffix(".gz").endswith(".jsonl"):
        yield from json_lines(path)
        return
    document = an_object(parse_json(read_all(path), str(path)))
    results = document.get("results")
    inner = an_object(results).get("results") if isinstance(results, dict) else results
    version = an_object(results).get("version")
    if isinstance(results, dict) and version is not None and version not in (2, 3):
        raise DataError(
            "promptfoo output of another version", where=str(path), wanted="3 (or 2)", got=a_text(version)
        )
    for i, row in enumerate(a_list(inner)):
        yield f"{path}: results.results[{i}]", an_object(row)


def _promptfoo_trial(row: Json, options: ImportOptions, where: str, *, several: bool, suite: str) -> TrialIn:
    given = row.get("provider")
    provider = an_object(given)
    who = a_text(provider.get("label") or provider.get("id")) if provider else a_text(given)
    prompt, test = an_object(row.get("prompt")), an_object(row.get("testCase"))
    response, variables = an_object(row.get("response")), an_object(row.get("vars") or test.get("vars"))
    label = a_text(prompt.get("label"))
    usage = an_object(response.get("tokenUsage") or row.get("tokenUsage"))
    latency = number(row.get("latencyMs"))
    spent = None if latency is None else nanoseconds(latency / 1000)
    error = a_text(response.get("error")) or (
        a_text(row.get("error")) if row.get("failureReason") == 2 else ""
    )
    number_of_test = row.get("testIdx")
    first = a_text(number_of_test) if number_of_test is not None else a_text(test.get("description"))
    finish = a_text(response.get("finishReason"))
    return TrialIn(
        contestant=(options.contestant or who or "promptfoo")
        + (f" [{label[:60]}]" if several and label else ""),
        suite=options.suite or suite,
        task=Task(
            id=first or a_text(variables),
            # the rendered prompt differs between prompts; the variables are what they have in common
            input=a_text(prompt.get("raw")) if not several else a_text(variables),
            fields={
                "vars": dict(variables),
                "description": a_text(test.get("description")),
                "assert": test.get("assert"),
            },
        ),
        reply=None
        if error
        else Reply(
            text=a_text(response.get("output")),
            finish="length" if finish in ("length", "max_tokens") else "stop",
            usage=Usage(
                a_count(usage.get("prompt")), a_count(usage.get("completion")), a_count(usage.get("cached"))
            ),
            finish_raw=finish,
            timing=Timing(spent, spent) if spent is not None else None,
        ),
        scores=tuple(_promptfoo_scores(row, error)),
        ended_by="provider" if error else "contestant",
        fault="promptfoo_error" if error else "",
        detail=error[:2000],
        cost_pusd=picodollars(row.get("cost") if row.get("cost") is not None else response.get("cost")),
        at=unix_ns(row.get("timestamp")),
        where=where,
    )


def _promptfoo_scores(row: Json, error: str) -> Iterator[tuple[str, Score]]:
    """promptfoo's verdict is pass or fail, by its thresholds; its score is kept as a part."""
    grading = an_object(row.get("gradingResult"))
    if error:
        yield "promptfoo:pass", ungraded("provider", error[:500])
        return
    named = {
        str(k): v for k, raw in an_object(row.get("namedScores")).items() if (v := number(raw)) is not None
    }
    amount = number(row.get("score"))
    parts = named if amount is None else {"score": amount, **named}
    passed = row.get("success")
    if not isinstance(passed, bool):
        yield "promptfoo:pass", ungraded("unscored")
        return
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    yield (
        "promptfoo:pass",
        Score(outcome, float(passed), explanation=a_text(grading.get("reason"))[:4000], parts=parts),
    )
