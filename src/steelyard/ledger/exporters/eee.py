"""Every Eval Ever 0.3.0: a JSON of totals for each contestant, and JSON lines of its instances beside it.

The form has no word for an ungraded trial: such trials are not among the instances (they would have to be called
wrong) and are counted in the details of the totals. Held-out instances carry scores and no content, nor its hash.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from steelyard.errors import DataError
from steelyard.ledger.base import Ledger, RunInfo
from steelyard.ledger.exporters.base import WITHHELD, TrialOut
from steelyard.ledger.exporters.lm_eval import safe
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.score import Outcome
from steelyard.unknown import is_known

if TYPE_CHECKING:
    from steelyard.stats.base import Estimate

VERSION = "0.3.0"


@dataclass(frozen=True, slots=True)
class Total:
    """A contestant's score in a suite, as computed elsewhere, and the trials that it leaves out."""

    estimate: Estimate
    n_ungraded: int


@dataclass(frozen=True, slots=True)
class About:
    """What the form asks beside the figures: the time of the export (Unix seconds), who evaluates, our version."""

    retrieved: str
    organization: str
    version: str
    relationship: str = "third_party"


def export_eee(
    ledger: Ledger,
    run: str,
    trials: Iterable[TrialOut],
    folder: Path,
    about: About,
    totals: Mapping[tuple[str, str], Total],
) -> list[Path]:
    """Write a pair of files for every contestant, below `folder` where the form wants them; returns their paths.

    `totals` maps (contestant, suite). A suite whose score is unknown is left out. Raises DataError when there is no
    known score at all.
    """
    info = ledger.find(run)
    plan = ledger.plan(info.run)
    if not any(is_known(t.estimate.value) for t in totals.values()):
        raise DataError("no score is known yet", where=f"run {info.run}", fix="score the run first")
    specs = {spec.name: spec for spec in plan.contestants}
    rows = _instances(trials, folder, info, specs, about)
    paths = []
    for name, spec in specs.items():
        results = [
            _result(name, suite, total, str(info.created_at // 1_000_000_000))
            for (who, suite), total in totals.items()
            if who == name and is_known(total.estimate.value)
        ]
        if not results:
            continue
        document = _document(info, spec, about, results)
        base = _base(info.run, spec, about)
        if name in rows:
            samples = folder / f"{base}_samples.jsonl"
            document["detailed_evaluation_results"] = {
                "format": "jsonl",
                "file_path": f"{base}_samples.jsonl",
                "hash_algorithm": "sha256",
                "checksum": hashlib.sha256(samples.read_bytes()).hexdigest(),
                "total_rows": rows[name],
            }
        path = folder / f"{base}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False), encoding="utf-8")
        paths.append(path)
    return [*paths, *(folder / f"{_base(info.run, specs[n], about)}_samples.jsonl" for n in rows)]


def _instances(
    trials: Iterable[TrialOut], folder: Path, info: RunInfo, specs: Mapping[str, ContestantSpec], about: About
) -> dict[str, int]:
    """Write the instances; returns how many each contestant has."""
    files: dict[str, TextIO] = {}
    rows: dict[str, int] = {}
    try:
        for trial in trials:
            if trial.value is None:
                continue
            name = trial.contestant
            if name not in files:
                path = folder / f"{_base(info.run, specs[name], about)}_samples.jsonl"
                path.parent.mkdir(parents=True, exist_ok=True)
                files[name] = path.open("w", encoding="utf-8")
            instance = _instance(trial, _evaluation_id(info.run, name, about), _model_id(specs[name]))
            files[name].write(json.dumps(instance, ensure_ascii=False, allow_nan=False) + "\n")
            rows[name] = rows.get(name, 0) + 1
    finally:
        for file in files.values():
            file.close()
    return rows


def _document(
    info: RunInfo, spec: ContestantSpec, about: About, results: list[dict[str, object]]
) -> dict[str, object]:
    return {
        "schema_version": VERSION,
        "evaluation_id": _evaluation_id(info.run, spec.name, about),
        "evaluation_timestamp": str(info.created_at // 1_000_000_000),
        "retrieved_timestamp": about.retrieved,
        "source_metadata": {
            "source_name": "Steelyard",
            "source_type": "evaluation_run",
            "source_organization_name": about.organization,
            "evaluator_relationship": about.relationship,
            "additional_details": {"run": info.run, "head": info.head, "plan_hash": info.plan_hash},
        },
        "eval_library": {"name": "steelyard", "version": about.version},
        "model_info": _model(spec),
        "evaluation_results": results,
    }


def _base(run: str, spec: ContestantSpec, about: About) -> str:
    """Where the form wants a contestant's files, without their endings; the same export gives the same name."""
    developer, _, model = spec.name.rpartition("/")
    digest = hashlib.sha256(_evaluation_id(run, spec.name, about).encode()).digest()
    return f"data/steelyard/{safe(developer or 'unknown')}/{safe(model)}/{uuid.UUID(bytes=digest[:16], version=4)}"


def _evaluation_id(run: str, contestant: str, about: About) -> str:
    return f"{run}/{safe(contestant)}/{about.retrieved}"


def _model_id(spec: ContestantSpec) -> str:
    return spec.model or spec.name


def _model(spec: ContestantSpec) -> dict[str, object]:
    own = spec.kind in ("embedded", "callable")
    return {
        "name": spec.name,
        "id": _model_id(spec),
        **({"inference_platform": spec.provider} if spec.provider else {}),
        "additional_details": {
            "deployment_type": "self_deployed" if own else "unknown",
            "model_availability": "unknown",
            "kind": spec.kind,
        },
    }


def _result(contestant: str, suite: str, total: Total, created: str) -> dict[str, object]:
    estimate = total.estimate
    uncertainty: dict[str, object] = {"num_samples": estimate.n_tasks}
    if is_known(estimate.se):
        uncertainty["standard_error"] = {"value": estimate.se, "method": "analytic"}
    interval = estimate.interval
    if is_known(interval):
        uncertainty["confidence_interval"] = {
            "lower": interval.low,
            "upper": interval.high,
            "confidence_level": interval.level,
            "method": interval.method,
        }
    return {
        "evaluation_result_id": f"{safe(contestant)}/{safe(suite)}",
        "evaluation_name": suite,
        "source_data": {"dataset_name": suite, "source_type": "other"},
        "evaluation_timestamp": created,
        "metric_config": {
            "metric_name": "mean score",
            "metric_kind": "accuracy",
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {
            "score": estimate.value,
            "details": {
                "method": estimate.method,
                "graded_trials": str(estimate.n_trials),
                "ungraded_trials": str(total.n_ungraded),
                "clusters": str(estimate.n_clusters),
            },
            "uncertainty": uncertainty,
        },
    }


def _instance(trial: TrialOut, evaluation_id: str, model_id: str) -> dict[str, object]:
    reply, row = trial.reply, trial.row
    known = row.reply.usage if row.reply else None
    instance: dict[str, object] = {
        "schema_version": VERSION,
        "evaluation_id": evaluation_id,
        "model_id": model_id,
        "evaluation_name": trial.suite,
        "evaluation_result_id": f"{safe(trial.contestant)}/{safe(trial.suite)}",
        "sample_id": trial.task.id,
        "sample_hash": None if trial.withheld else _sample_hash(trial),
        "interaction_type": "single_turn",
        "input": {
            "raw": WITHHELD if trial.withheld else trial.asked,
            "reference": [] if trial.withheld else list(trial.targets),
            "choices": list(trial.task.choices) or None,
        },
        "output": {"raw": [WITHHELD if trial.withheld else reply.text]},
        "messages": None,
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": WITHHELD if trial.withheld else trial.extracted,
                "extraction_method": row.scorer,
                "is_terminal": True,
            }
        ],
        "evaluation": {
            "score": trial.value,
            "is_correct": row.score is not None and row.score.outcome is Outcome.PASSED,
        },
        "metadata": {"trial": str(row.k), "withheld": str(trial.withheld).lower(), "ended_by": row.ended_by},
    }
    if known is not None and known.input_tokens is not None and known.output_tokens is not None:
        instance["token_usage"] = {
            "input_tokens": known.input_tokens,
            "output_tokens": known.output_tokens,
            "total_tokens": known.input_tokens + known.output_tokens,
            "reasoning_tokens": known.reasoning_tokens,
        }
    timing = row.reply.timing if row.reply else None
    if timing is not None:
        first = timing.first_token_ns
        instance["performance"] = {
            "latency_ms": timing.done_ns / 1e6,
            "time_to_first_token_ms": None if first is None else first / 1e6,
        }
    return instance


def _sample_hash(trial: TrialOut) -> str:
    return hashlib.sha256((trial.asked + "".join(trial.targets)).encode()).hexdigest()
