"""Casting: a task's place, as the contestant of a plan gets it; and what a plan asks that this machine cannot give.

Limits are the task's, tightened by the contestant's own (`limits` in its config): the smaller one holds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from steelyard.contestants.agents.adapter import adapter
from steelyard.contestants.base import Environment, Place, UserScript, UserTurn
from steelyard.errors import PlanError, SandboxError
from steelyard.runner.base import Prepared
from steelyard.runner.materials import Materials, agentic_of
from steelyard.sandbox.profile import MIB, Limits
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.price import PUSD, is_free
from steelyard.schema.task import Agentic, SuiteHeader, UserRole, WorkLimits
from steelyard.unknown import Unknown

WORKING = ("agent", "policy")
"""Kinds of contestants that make many calls an attempt."""
_NO_LIMITS = WorkLimits()
SECONDS, TURNS = 600.0, 50
"""Of a trial, where neither the task nor the contestant says."""


def place_of(work: Agentic, spec: ContestantSpec, materials: Materials) -> Place:
    """The place of one attempt. Trees are laid out on the host at first use."""
    own = own_limits(spec)
    money = _least(work.limits.money, own.money)
    gold = spec.kind == "policy" and spec.config.get("policy") == "gold"
    return Place(
        base=materials.laid_out(work.workspace, git=work.git),
        workdir=work.workdir,
        limits=box_limits(work.limits, own),
        hosts=work.hosts,
        seconds=_least(work.limits.seconds, own.seconds) or SECONDS,
        turns=int(_least(work.limits.turns, own.turns) or TURNS),
        tokens=_whole(_least(work.limits.tokens, own.tokens)),
        money_pusd=None if money is None else int(money * PUSD),
        decoys=work.decoys,
        user=None if work.user is None else user_of(work.user),
        environment=_environment(work, materials),
        solution=materials.laid_out(work.solution) if gold else "",
    )


def own_limits(spec: ContestantSpec) -> WorkLimits:
    """The limits that a contestant sets itself."""
    agent = spec.config.get("agent")
    given = agent.get("limits") if isinstance(agent, Mapping) else spec.config.get("limits")
    known = given if isinstance(given, Mapping) else {}
    return WorkLimits(
        **{k: v for k, v in known.items() if v is not None and k in WorkLimits.__struct_fields__}
    )


def box_limits(task: WorkLimits, own: WorkLimits = _NO_LIMITS) -> Limits:
    """The limits of a box. Raises nothing: both were checked when they were read."""
    standard = Limits()

    def mib(name: str, default: int) -> int:
        value = _least(getattr(task, name), getattr(own, name))
        return default if value is None else int(value * MIB)

    memory = mib("memory_mib", standard.memory)
    processes = _least(task.processes, own.processes)
    inodes = _least(task.inodes, own.inodes)
    return Limits(
        processes=standard.processes if processes is None else int(processes),
        memory=memory,
        memory_guarantee=min(standard.memory_guarantee, memory),
        cpus=_least(task.cpus, own.cpus) or standard.cpus,
        wall_s=_least(task.seconds, own.seconds) or SECONDS,
        workspace=mib("workspace_mib", standard.workspace),
        workspace_inodes=standard.workspace_inodes if inodes is None else int(inodes),
        output=mib("output_mib", standard.output),
    )


def _least(a: float | None, b: float | None) -> float | None:
    known = [x for x in (a, b) if x is not None]
    return min(known) if known else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def user_of(role: UserRole) -> UserScript:
    """A task's simulated user as a contestant meets it."""
    turns = tuple(UserTurn(t.say, t.when, t.again) for t in role.turns)
    return UserScript(turns, role.role, role.brief, role.stop, role.most)


def _environment(work: Agentic, materials: Materials) -> Environment | None:
    if not work.environment:
        return None
    place = materials.laid_out(work.environment)
    try:
        with open(os.path.join(place, "database.json"), "rb") as file:  # noqa: PTH118, PTH123 - a text place, one read
            database = file.read()
    except FileNotFoundError:
        database = b"{}"
    return Environment(place, database)


# -- refused before anything is sent --------------------------------------------------------------------------


def check_places(ready: Prepared, where: Mapping[str, str]) -> None:
    """Raises PlanError for a contestant that cannot work in a place, a role that is not cast, limits that are too high
    for this machine; SandboxError when there is no sandbox."""
    headers: dict[int, SuiteHeader] = {}
    most = WorkLimits(memory_mib=0, cpus=0.0)
    roles: dict[str, str] = {}
    talks = ""
    for suite, work in agentic_of(ready.suites):
        headers[id(suite)] = suite.header
        memory = max(most.memory_mib or 0, work.limits.memory_mib or 0, work.judged.memory_mib)
        most = WorkLimits(memory_mib=memory, cpus=max(most.cpus or 0, work.limits.cpus or 0))
        if work.user is not None or work.environment:
            talks = suite.header.name
        if work.user is not None and work.user.role:
            roles[work.user.role] = suite.header.name
    works = any(spec.kind in WORKING for spec in ready.plan.contestants)
    if not headers:
        return
    name = next(iter(headers.values())).name
    for spec in ready.plan.contestants:
        if spec.kind not in WORKING:
            raise PlanError(
                f"contestant `{spec.name}` cannot work on the tasks of suite `{name}`",
                where=where.get(f"contestant:{spec.name}", ""),
                wanted="an agent: tasks of this suite are done in a workspace",
                got=f"kind {spec.kind}",
                fix="add `agent: steelyard` to it, which puts the model into the built-in harness",
            )
        if talks and not _takes_tools(spec):
            raise PlanError(
                f"contestant `{spec.name}` cannot do every task of suite `{talks}`",
                where=where.get(f"contestant:{spec.name}", ""),
                wanted="`agent: steelyard`, or an adapter with `[mcp]`: some tasks have a simulated user, or tools of "
                "their own",
                got=f"agent: {spec.harness}",
                fix="see `steelyard agents`, or leave these tasks out by `where` or `limit`",
            )
    cast = {judge.name for judge in ready.plan.judges}
    for role, suite_name in roles.items():
        if role not in cast:
            raise PlanError(
                f"the role `{role}` of suite `{suite_name}` is not cast",
                where=where.get("judges", ""),
                wanted="an entry of that name under `judges`",
                got=", ".join(sorted(cast)) or "no judges",
                fix=f"judges: {{{role}: {{model: ...}}}}",
            )
    if works:
        _check_machine(most, name)


def _takes_tools(spec: ContestantSpec) -> bool:
    """Whether a contestant can be given a task's own tools and its user: by MCP where it is a command-line agent."""
    if spec.kind != "agent" or spec.harness == "steelyard":
        return True
    settings = spec.config.get("agent")
    path = settings.get("adapter") if isinstance(settings, dict) else None
    return adapter(str(path or spec.harness)).mcp is not None


def _check_machine(most: WorkLimits, name: str) -> None:
    # lazy: the self-check starts sandboxes, which plans without agents do not need
    from steelyard.sandbox.selfcheck import self_check

    report = self_check()
    if report.rung is None:
        raise SandboxError(
            f"suite `{name}` needs a sandbox, and none can be had here: {report.why}; "
            "run `steelyard doctor --sandbox` for what is missing"
        )
    cpus = os.cpu_count() or 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB
    if (most.memory_mib or 0) > memory:
        raise PlanError(f"suite `{name}` needs more memory than this machine has",
                        wanted=f"{most.memory_mib} MiB", got=f"{memory} MiB")  # fmt: skip
    if (most.cpus or 0) > cpus:
        raise PlanError(f"suite `{name}` needs more processors than this machine has",
                        wanted=f"{most.cpus:g}", got=str(cpus))  # fmt: skip


def worst_work(spec: ContestantSpec, work: Agentic | None) -> tuple[int | Unknown, int | Unknown]:
    """(picodollars, tokens) that one attempt of an agent may use at the most: its limits, which it may not have."""
    if spec.kind == "policy":
        return 0, 0
    own, task = own_limits(spec), WorkLimits() if work is None else work.limits
    money, tokens = _least(own.money, task.money), _least(own.tokens, task.tokens)
    free = spec.price is not None and is_free(spec.price)
    pusd: int | Unknown = Unknown("an agent's calls have no bound without `limits: {money: DOLLARS}`")
    if free or money is not None:
        pusd = 0 if free or money is None else int(money * PUSD)
    return pusd, Unknown("no limit of tokens") if tokens is None else int(tokens)
