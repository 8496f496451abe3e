"""lm-eval's samples: a file `samples_<suite>_<date>.jsonl` a suite, in a folder a contestant, as lm-eval lays them out.

Ungraded trials have no metric in lm-eval's form and are left out; the report counts them. Repeats of a task are rows
of the same `doc_id` in order.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from steelyard.ledger.exporters.base import WITHHELD, TrialOut


def export_lm_eval(trials: Iterable[TrialOut], folder: Path, *, stamp: str) -> tuple[int, int]:
    """Write the samples below `folder`; `stamp` is the date in the names (`2026-01-02T03-04-05`).

    Returns (rows written, trials left out because nobody graded them).
    """
    files: dict[Path, TextIO] = {}
    written = left_out = 0
    try:
        for trial in trials:
            if trial.value is None:
                left_out += 1
                continue
            path = folder / safe(trial.contestant) / f"samples_{safe(trial.suite)}_{stamp}.jsonl"
            if path not in files:
                path.parent.mkdir(parents=True, exist_ok=True)
                files[path] = path.open("w", encoding="utf-8")
            files[path].write(json.dumps(_sample(trial), ensure_ascii=False, allow_nan=False) + "\n")
            written += 1
    finally:
        for file in files.values():
            file.close()
    return written, left_out


def _sample(trial: TrialOut) -> dict[str, object]:
    asked = WITHHELD if trial.withheld else trial.asked
    targets = trial.targets
    target: object = WITHHELD if trial.withheld else targets[0] if len(targets) == 1 else list(targets)
    return {
        "doc_id": trial.task.id,
        "doc": {} if trial.withheld else {**trial.task.fields, "id": trial.task.id},
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": asked, "arg_1": {}}},
        "resps": [[WITHHELD if trial.withheld else trial.reply.text]],
        "filtered_resps": [WITHHELD if trial.withheld else trial.extracted or trial.reply.text],
        "filter": "none",
        "metrics": ["score"],
        "score": trial.value,
        "doc_hash": "" if trial.withheld else _hash(trial.asked),
        "prompt_hash": "" if trial.withheld else _hash(asked),
        "target_hash": "" if trial.withheld else _hash(json.dumps(target)),
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def safe(name: str) -> str:
    """A name that is safe as a file's, `/` as `__` as lm-eval writes it; two names never become one."""
    made = re.sub(r"[^\w.-]", "_", name.replace("/", "__"))[:80].lstrip(".") or "_"
    if made == name or made == name.replace("/", "__"):
        return made
    return f"{made}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
