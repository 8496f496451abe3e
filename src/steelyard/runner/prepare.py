"""From a plan file to a plan that can be run: suites loaded and pinned, scorers known, caps that can be kept.

Whatever can be refused is refused here, before anything is sent or written: a suite that is not there, a scorer that
does not exist, a judge that is not cast, a money cap beside a contestant without a price or without a bound.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from steelyard import scorers, tasks
from steelyard.contestants.base import Ask
from steelyard.errors import PlanError, UserError
from steelyard.ledger.base import SuiteData
from steelyard.runner.base import Prepared, prepared, worst_case
from steelyard.runner.places import check_places
from steelyard.runner.planagents import pin as pin_agent
from steelyard.runner.planfile import PlanFile
from steelyard.runner.schedule import derive
from steelyard.schema.contestant import ContestantSpec, Prompt
from steelyard.schema.plan import SuiteUse
from steelyard.schema.price import is_free
from steelyard.schema.task import SuiteHeader, Task
from steelyard.unknown import is_known

MOST_EXAMPLES = 500
"""How many candidates for few-shot examples are kept with a plan."""


class Subset:
    """Some tasks of a suite, by index: what a split or a limit leaves. Its version is the suite's own.

    Images are put into the tasks, so that the ledger's copy can be shown again without the files.
    """

    def __init__(self, whole: SuiteData, indices: Sequence[int]) -> None:
        self._whole = whole
        self._indices = indices if isinstance(indices, range) else array("I", indices)
        self.header: SuiteHeader = whole.header

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self._indices)

    def task(self, i: int) -> Task:
        """The task at index `i` of the subset."""
        return tasks.with_images(self._whole, self._whole.task(self._indices[i]))

    def archive(self, digest: str) -> bytes:
        """A tree of one of its tasks."""
        if not isinstance(self._whole, tasks.Suite):
            raise PlanError("this suite has no trees", got=self.header.name)
        return self._whole.archive(digest)


def choose(suite: tasks.Suite, use: SuiteUse, seed: int) -> SuiteData:
    """The tasks that the plan uses: a split, then the first `limit` of a seeded shuffle, in suite order."""
    n = len(suite)
    header = suite.header
    whole = use.split == "all" or (header.n_held_out if use.split == "public" else header.n_public) == 0
    indices: Sequence[int] = (
        range(n) if whole else [i for i in range(n) if suite.held_out[i] == (use.split == "held_out")]
    )
    if use.limit is not None and use.limit < len(indices):
        version = suite.header.version
        ranked = sorted(indices, key=lambda i: derive(seed, "limit", version, i))
        indices = sorted(ranked[: use.limit])
    if not indices:
        raise PlanError(
            f"suite `{suite.header.name}` has no {use.split} tasks",
            wanted="at least one task",
            got=f"{suite.header.n_public} public, {suite.header.n_held_out} held out",
            fix="choose another `split`",
        )
    return Subset(suite, indices)


def prepare(file: PlanFile) -> Prepared:
    """Load and pin everything that the plan names. Raises PlanError or DataError."""
    uses, suites = [], []
    left_out: list[tuple[str, str, str]] = []
    for i, use in enumerate(file.plan.suites):
        suite = tasks.load(use.source, base_dir=file.base_dir, options=use.options)
        where = file.where.get(f"suite:{i}", "")
        try:
            chosen = choose(suite, use, file.plan.seed)
            scorer = _scorer(use, suite, file, where)
        except UserError as e:
            e.place(where)
            raise
        shots = any(_prompt_for(c, use, suite).few_shot for c in file.plan.contestants)
        uses.append(
            msgspec.structs.replace(
                use,
                name=use.name or suite.header.name,
                version=suite.header.version,
                scorer=scorer,
                n_tasks=len(chosen),
                examples=_examples(suite, file.plan.seed) if shots else (),
                examples_apart=suite.examples is not None,
            )
        )
        suites.append(chosen)
        if suite.work is not None:
            left_out += [(uses[-1].name, *why) for why in suite.work.skipped]
        if len({u.name for u in uses}) < len(uses):
            raise PlanError(
                f"two suites are called `{uses[-1].name}`",
                where=where,
                fix="give one a `name`",
            )
    specs = tuple(_pinned(spec, file) for spec in file.plan.contestants)
    judges = tuple(_pinned(spec, file) for spec in file.plan.judges)
    plan = msgspec.structs.replace(file.plan, suites=tuple(uses), contestants=specs, judges=judges)
    ready = replace(prepared(plan, suites), where=file.where, left_out=tuple(left_out))
    check_places(ready, file.where)
    check_caps(ready, file.where)
    return ready


def _scorer(use: SuiteUse, suite: tasks.Suite, file: PlanFile, where: str) -> dict[str, object]:
    """The suite's scorer, pinned to the content of its files, and proved able to judge these tasks."""
    spec = use.scorer or suite.header.scorer or {"type": "exact"}
    base_dir = file.base_dir if use.scorer else suite.folder
    built = scorers.build(spec, base_dir=base_dir, where=f"{where} scorer".strip())
    scorers.check(built, suite, f"{where} scorer".strip())
    if not isinstance(built, scorers.Scorer):
        cast_as = {j.name for j in file.plan.judges}
        for role in built.roles:
            if role not in cast_as:
                raise PlanError(
                    f"the judge `{role}` is not cast",
                    where=where,
                    wanted="an entry of that name under `judges`",
                    got=", ".join(sorted(cast_as)) or "no judges",
                    fix=f"judges: {{{role}: {{model: ...}}}}",
                )
    for spec_of in file.plan.contestants:
        prompt = _prompt_for(spec_of, use, suite)
        at = file.where.get(f"contestant:{spec_of.name}", where)
        try:
            tasks.check_prompt(suite, prompt, f"{at} prompt")
        except UserError as e:
            e.place(at)
            raise
    return scorers.pin(spec, base_dir)


def _examples(suite: tasks.Suite, seed: int) -> tuple[Task, ...]:
    """Candidates for few-shot examples, kept in the plan: what is shown must not depend on files when resumed."""
    pool: SuiteData = suite.examples or suite
    public = [i for i in range(len(pool)) if pool.task(i).split == "public"]
    if len(public) > MOST_EXAMPLES:
        version = suite.header.version
        public = sorted(sorted(public, key=lambda i: derive(seed, "examples", version, i))[:MOST_EXAMPLES])
    return tuple(tasks.with_images(pool, pool.task(i)) for i in public)


class _Pool:
    """The plan's own examples as a suite."""

    def __init__(self, use: SuiteUse) -> None:
        self.header = SuiteHeader(name=f"examples of {use.name}", version=use.version)
        self._tasks = use.examples

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self._tasks)

    def task(self, i: int) -> Task:
        """The example at `i`."""
        return self._tasks[i]


def _pinned(spec: ContestantSpec, file: PlanFile) -> ContestantSpec:
    try:
        return _pin(spec, file.base_dir)
    except UserError as e:
        e.place(file.where.get(f"contestant:{spec.name}", ""))
        raise


def _pin(spec: ContestantSpec, base_dir: Path) -> ContestantSpec:
    """Paths made absolute, and a recording named by its content, so that the spec's hash says what was measured."""
    if spec.kind == "agent":
        return pin_agent(spec, base_dir)
    config = dict(spec.config)
    if spec.kind == "recording":
        path = (base_dir / str(config["path"])).resolve()
        config["path"] = str(path)
        try:
            config["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as e:
            raise PlanError(
                f"recording of `{spec.name}` cannot be read", where=str(path), wanted="a JSONL or CSV file",
                got=e.strerror or str(e), fix="check the path: it starts from the plan file's folder",
            ) from None  # fmt: skip
    elif spec.kind == "callable":
        name, _, attribute = str(config["target"]).rpartition(":")
        if name.endswith(".py"):
            config["target"] = f"{(base_dir / name).resolve()}:{attribute}"
    return msgspec.structs.replace(spec, config=config) if config != spec.config else spec


def check_caps(ready: Prepared, where: Mapping[str, str]) -> None:
    """A cap that could not be kept is refused: an unpriced contestant, an output or an image without a bound."""
    plan = ready.plan
    caps = plan.caps
    if caps.money_pusd is None and caps.tokens is None:
        return
    probe = Ask((), "", 0, 0)
    for spec in (*plan.contestants, *plan.judges):
        if spec.kind == "policy":
            continue
        place = where.get(f"contestant:{spec.name}", "")
        if caps.money_pusd is not None and spec.price is None:
            raise PlanError(
                f"contestant `{spec.name}` has no price, so a money cap cannot hold",
                where=place,
                wanted="price: {input: DOLLARS, output: DOLLARS} a million tokens",
                got="no price",
                fix="add its price (0 and 0 when it costs nothing), or remove `caps.money`",
            )
        pusd, tokens = worst_case(spec, probe)
        free = spec.price is not None and is_free(spec.price)
        if caps.money_pusd is not None and not free and not is_known(pusd):
            raise PlanError(
                f"contestant `{spec.name}` may answer without end, so a money cap cannot hold",
                where=place,
                wanted="max_tokens: N",
                got=str(pusd),
                fix="add `max_tokens`, or remove `caps.money`",
            )
        if caps.tokens is not None and not is_known(tokens):
            raise PlanError(
                f"contestant `{spec.name}` may answer without end, so a token cap cannot hold",
                where=place,
                wanted="max_tokens: N",
                got=str(tokens),
                fix="add `max_tokens`, or remove `caps.tokens`",
            )


class Renderer:
    """Makes what contestant `c` is shown of a task; the few-shot examples and prompt are those of the plan."""

    def __init__(self, ready: Prepared) -> None:
        self._ready = ready
        plan = ready.plan
        self._prompts = [
            [_prompt_for(spec, use, ready.suites[s]) for spec in plan.contestants]
            for s, use in enumerate(plan.suites)
        ]

        self._examples = [
            tasks.Examples(_Pool(u), same_suite=not u.examples_apart) if u.examples else None
            for u in plan.suites
        ]

    def draws(self, s: int, c: int) -> bool:
        """True when what is shown differs from trial to trial in more than an order."""
        return bool(self._prompts[s][c].few_shot)

    def __call__(self, s: int, i: int, c: int, seed: int) -> tasks.Rendered:
        """What contestant `c` sees of task `i` of suite `s` in the trial seeded with `seed`."""
        use = self._ready.plan.suites[s]
        return tasks.render(
            self._ready.suites[s],
            i,
            self._prompts[s][c],
            seed=seed,
            shuffle=use.shuffle_choices,
            examples=self._examples[s],
        )


def _prompt_for(spec: ContestantSpec, use: SuiteUse, suite: SuiteData) -> Prompt:
    """The contestant's own prompt, else the plan's for the suite, else the suite's."""
    if spec.prompt != Prompt():
        return spec.prompt
    if use.prompt is not None:
        return use.prompt
    return Prompt(template=suite.header.prompt)
