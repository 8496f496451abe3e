"""A plan file (YAML) to a `Plan`: every value checked where it stands, matrices spelled out, nothing sent.

Credentials never enter a plan: `key_env` names the variable. Environment and working folder come in as values.
The reference of all keys is docs/reference/plan-file.md, tested against `KEYS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import msgspec

from steelyard.runner.plancontestants import contestants_of, prompt_of
from steelyard.schema.contestant import Prompt
from steelyard.schema.plan import Caps, Plan, ProviderLimit, Retry, SuiteUse, Trials
from steelyard.schema.price import PUSD
from steelyard.tasks import yamldoc
from steelyard.tasks.options import LoadOptions
from steelyard.tasks.yamldoc import Doc

SUITE_OPTIONS = tuple(k for k in LoadOptions.__struct_fields__ if k != "name")
KEYS: Mapping[str, Sequence[str]] = {
    "plan": (
        "name", "seed", "suites", "contestants", "judges", "prompts", "trials", "caps", "retry", "limits",
        "concurrency", "coverage_floor", "baseline",
    ),
    "suite": ("source", "name", "split", "limit", "scorer", "shuffle_choices", "prompt", *SUITE_OPTIONS),
    "trials": ("count", "until", "at_least", "at_most", "level", "estimand"),
    "caps": ("money", "tokens", "seconds", "minutes"),
    "retry": ("attempts", "wait", "wait_max"),
    "limit": ("concurrency", "requests_per_minute", "tokens_per_minute"),
}  # fmt: skip
"""Which keys stand where in a plan file."""


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan as its file states it, before the suites are loaded; `base_dir` is what relative paths start from."""

    plan: Plan
    base_dir: Path
    where: dict[str, str]
    """Place of each suite and contestant in the file, for later errors: `suite:0`, `contestant:NAME`."""


def read_plan(path: Path, environ: Mapping[str, str]) -> PlanFile:
    """The plan in a file. Raises PlanError that names file and line."""
    return parse_plan(yamldoc.read(path), path.parent, environ)


def parse_plan(doc: Doc, base_dir: Path, environ: Mapping[str, str]) -> PlanFile:
    """The plan in a document."""
    top = doc.entries(KEYS["plan"])
    for need in ("suites", "contestants"):
        if need not in top or top[need].is_null:
            at = top.get(need, doc)
            raise at.fail(f"no `{need}`", wanted=f"`{need}:` with at least one entry", got="a plan without")
    prompts = _prompts(top.get("prompts"))
    where: dict[str, str] = {}
    suites = []
    for i, item in enumerate(top["suites"].items()):
        suites.append(_suite(item, prompts))
        where[f"suite:{i}"] = item.where
    contestants = []
    for item in top["contestants"].items():
        for spec in contestants_of(item, prompts, environ):
            if f"contestant:{spec.name}" in where:
                raise item.fail(f"two contestants are called `{spec.name}`", fix="give one of them a `name`")
            where[f"contestant:{spec.name}"] = item.where
            contestants.append(spec)
    judges = []
    if "judges" in top:
        for role, value in top["judges"].entries().items():
            cast_as = list(contestants_of(value, prompts, environ))
            if len(cast_as) != 1:
                got = str(len(cast_as))
                raise value.fail(
                    "a role needs exactly one judge", wanted="one contestant, no matrix", got=got
                )
            if cast_as[0].kind in ("agent", "policy"):
                raise value.fail("an agent cannot play a role", wanted="a model, without `agent` or `policy`")
            judges.append(msgspec.structs.replace(cast_as[0], name=role))
            where.setdefault(f"contestant:{role}", value.where)
    for name, found in (("suites", suites), ("contestants", contestants)):
        if not found:
            raise top[name].fail(f"no {name}", wanted="at least one", got="none")
    plan = Plan(
        suites=tuple(suites),
        contestants=tuple(contestants),
        judges=tuple(judges),
        trials=_trials(top.get("trials")),
        seed=top["seed"].integer(0, 2**53) if "seed" in top else 0,
        name=top["name"].text() if "name" in top else "",
        caps=_caps(top.get("caps")),
        retry=_retry(top.get("retry")),
        limits=_limits(top.get("limits"), {c.provider for c in (*contestants, *judges)}),
        concurrency=top["concurrency"].integer(1, 4096) if "concurrency" in top else 64,
        coverage_floor=top["coverage_floor"].number(0, 1) if "coverage_floor" in top else 0.9,
        baseline=_baseline(top.get("baseline"), [c.name for c in contestants]),
    )
    return PlanFile(plan, base_dir, where)


def _prompts(doc: Doc | None) -> dict[str, Prompt]:
    if doc is None:
        return {}
    return {
        name: msgspec.structs.replace(prompt_of(value, {}), name=name)
        for name, value in doc.entries().items()
    }


def _suite(doc: Doc, prompts: Mapping[str, Prompt]) -> SuiteUse:
    if not doc.is_mapping:
        return SuiteUse(source=doc.text())
    keys = doc.entries(KEYS["suite"])
    if "source" not in keys:
        raise doc.fail("a suite without a source", wanted="`source: data.jsonl` or `source: builtin:NAME`")
    scorer: dict[str, object] = {}
    if "scorer" in keys:
        value = keys["scorer"].plain()
        scorer = (
            cast("dict[str, object]", value) if isinstance(value, dict) else {"type": keys["scorer"].text()}
        )
    options = {k: keys[k].plain() for k in SUITE_OPTIONS if k in keys}
    split = keys["split"].choice(("public", "held_out", "all")) if "split" in keys else "public"
    return SuiteUse(
        source=keys["source"].text(),
        name=keys["name"].text() if "name" in keys else "",
        split=cast("Literal['public', 'held_out', 'all']", split),
        limit=keys["limit"].integer(1) if "limit" in keys else None,
        scorer=scorer,
        shuffle_choices=keys["shuffle_choices"].boolean() if "shuffle_choices" in keys else True,
        prompt=prompt_of(keys["prompt"], prompts) if "prompt" in keys else None,
        options=options,
    )


def _trials(doc: Doc | None) -> Trials:
    if doc is None:
        return Trials()
    if not doc.is_mapping:
        return Trials(count=doc.integer(1, 255))
    keys = doc.entries(KEYS["trials"])
    if "until" not in keys:
        for only in ("at_least", "at_most", "estimand", "level"):
            if only in keys:
                raise keys[only].fail(
                    f"`{only}` belongs to `until`", fix="add `until: HALF_WIDTH`, or remove it"
                )
        return Trials(count=keys["count"].integer(1, 255) if "count" in keys else 1)
    if "count" in keys:
        raise keys["count"].fail("`count` and `until` exclude each other", fix="keep one of them")
    at_most = keys["at_most"].integer(1, 255) if "at_most" in keys else 20
    at_least = keys["at_least"].integer(1, 255) if "at_least" in keys else 1
    if at_least > at_most:
        raise keys["at_least"].fail("`at_least` is above `at_most`", wanted=f"at most {at_most}")
    estimand = keys["estimand"].choice(("tasks", "population")) if "estimand" in keys else "tasks"
    return Trials(
        until=keys["until"].number(0.0005, 0.5),
        at_least=at_least,
        at_most=at_most,
        level=keys["level"].number(0.5, 0.9999) if "level" in keys else 0.95,
        estimand=cast("Literal['tasks', 'population']", estimand),
    )


def _caps(doc: Doc | None) -> Caps:
    if doc is None:
        return Caps()
    keys = doc.entries(KEYS["caps"])
    if "seconds" in keys and "minutes" in keys:
        raise keys["minutes"].fail("`seconds` and `minutes` exclude each other", fix="keep one of them")
    seconds = keys["seconds"].number(0) if "seconds" in keys else None
    if "minutes" in keys:
        seconds = 60 * keys["minutes"].number(0)
    return Caps(
        money_pusd=int(keys["money"].number(0, 1e6) * PUSD) if "money" in keys else None,
        tokens=keys["tokens"].integer(0) if "tokens" in keys else None,
        seconds=seconds,
    )


def _retry(doc: Doc | None) -> Retry:
    if doc is None:
        return Retry()
    keys = doc.entries(KEYS["retry"])
    standard = Retry()
    return Retry(
        attempts=keys["attempts"].integer(1, 100) if "attempts" in keys else standard.attempts,
        wait_s=keys["wait"].number(0, 3600) if "wait" in keys else standard.wait_s,
        wait_max_s=keys["wait_max"].number(0, 3600) if "wait_max" in keys else standard.wait_max_s,
    )


def _limits(doc: Doc | None, providers: set[str]) -> dict[str, ProviderLimit]:
    if doc is None:
        return {}
    out = {}
    for provider, value in doc.entries().items():
        keys = value.entries(KEYS["limit"])
        if provider not in providers:
            raise value.fail(
                "limits of a provider that nobody uses", wanted=" | ".join(sorted(providers)), got=provider,
                fix="name one of these, or give a contestant this `provider`",
            )  # fmt: skip
        rpm, tpm = keys.get("requests_per_minute"), keys.get("tokens_per_minute")
        out[provider] = ProviderLimit(
            concurrency=keys["concurrency"].integer(1, 4096) if "concurrency" in keys else 64,
            requests_per_minute=None if rpm is None else rpm.number(0.01),
            tokens_per_minute=None if tpm is None else tpm.number(1),
        )
    return out


def _baseline(doc: Doc | None, names: Sequence[str]) -> str:
    if doc is None:
        return ""
    return doc.choice(tuple(names))
