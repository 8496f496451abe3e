"""A plan: the frozen, hashed description of a run. Resuming is the same run because the plan is the same."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from steelyard.schema.contestant import ContestantSpec, Prompt
from steelyard.schema.task import Task

PLAN_FORMAT = 1


class Trials(Struct, frozen=True, omit_defaults=True):
    """Either `count` trials a task, or (when `until` is set) repeats until the half-width is reached.

    `until` is the half-width wanted of each contestant's mean at confidence `level`; `at_most` bounds trials a
    task; `estimand` says of what: these `tasks`, or the `population` that they are a sample of.
    """

    count: int = 1
    until: float | None = None
    at_least: int = 1
    at_most: int = 20
    level: float = 0.95
    estimand: Literal["tasks", "population"] = "tasks"


class Caps(Struct, frozen=True, omit_defaults=True):
    """Hard limits of the whole run; None is no limit. Money in picodollars, resumed parts included."""

    money_pusd: int | None = None
    tokens: int | None = None
    seconds: float | None = None


class Retry(Struct, frozen=True, omit_defaults=True):
    """Attempts a trial may take in all, and the waits between them (seconds, doubled up to `wait_max_s`)."""

    attempts: int = 5
    wait_s: float = 0.5
    wait_max_s: float = 30.0


class ProviderLimit(Struct, frozen=True, omit_defaults=True):
    """Limits that all contestants of one provider share."""

    concurrency: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


class SuiteUse(Struct, frozen=True, omit_defaults=True):
    """A suite in a plan: which version, which split, how many tasks, judged by what.

    `version` is the content hash that the loader found; `limit` takes the first n after a seeded shuffle. `options`
    go to the loader (`fields` maps columns). `examples` are the candidates for few-shot examples; `examples_apart`
    says that they are a file of their own, not tasks of the suite.
    """

    source: str
    name: str = ""
    version: str = ""
    split: Literal["public", "held_out", "all"] = "public"
    limit: int | None = None
    scorer: dict[str, object] = {}
    shuffle_choices: bool = True
    prompt: Prompt | None = None
    n_tasks: int = 0
    options: dict[str, object] = {}
    examples: tuple[Task, ...] = ()
    examples_apart: bool = False


class Plan(Struct, frozen=True, omit_defaults=True):
    """Everything that decides what is sent and how it is judged. `content_hash(plan)` names it."""

    suites: tuple[SuiteUse, ...]
    contestants: tuple[ContestantSpec, ...]
    trials: Trials = Trials()
    seed: int = 0
    name: str = ""
    judges: tuple[ContestantSpec, ...] = ()
    caps: Caps = Caps()
    retry: Retry = Retry()
    limits: dict[str, ProviderLimit] = {}
    concurrency: int = 64
    coverage_floor: float = 0.9
    baseline: str = ""
    format: int = PLAN_FORMAT
