"""A plan run in this process against a real ledger: what hostile tests share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from steelyard.ledger import open_ledger
from steelyard.ledger.base import Ledger
from steelyard.runner.base import RunOutcome
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.results import Results, results
from steelyard.runner.session import Options, begin, take_up


def options(
    environ: Mapping[str, str] | None = None,
    *,
    retry_ungraded: bool = False,
    caps: Mapping[str, int | float | None] | None = None,
) -> Options:
    return Options(
        environ or {}, signals=False, control=False, retry_ungraded=retry_ungraded, caps=caps or {}
    )


def write_plan(folder: Path, plan: Mapping[str, object]) -> Path:
    path = folder / "plan.yaml"
    path.write_text(json.dumps(plan))
    return path


def write_tasks(folder: Path, rows: Sequence[Mapping[str, object]], name: str = "data.jsonl") -> str:
    (folder / name).write_text("".join(json.dumps(r) + "\n" for r in rows))
    return name


def run_plan(
    folder: Path, plan: Mapping[str, object], environ: Mapping[str, str] | None = None
) -> tuple[Ledger, RunOutcome, Results]:
    ready = prepare(read_plan(write_plan(folder, plan), environ or {}))
    ledger = open_ledger(str(folder / "led"), create=True)
    outcome = asyncio.run(begin(ready, ledger, options(environ)))
    return ledger, outcome, results(ledger, outcome.run)


def resume(
    ledger: Ledger,
    run: str = "last",
    *,
    retry_ungraded: bool = False,
    caps: Mapping[str, int | float | None] | None = None,
) -> tuple[RunOutcome, Results]:
    outcome = asyncio.run(take_up(ledger, run, options(retry_ungraded=retry_ungraded, caps=caps)))
    return outcome, results(ledger, outcome.run)
