"""Plan, then act: nothing acts before a plan is accepted, and every act names the step that it belongs to.

The plan is recorded, each version of it. It is accepted at once (`auto`), by the operator (`ask`, who may edit or
refuse it), or by the user's function, which is given the steps and the task and returns True, False, a reason as text,
or other steps as a list. A later call of `plan` makes a new version, which is judged like the first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from steelyard.contestants.harness.approve import Approver, Consent, Question, operator_needed
from steelyard.contestants.harness.functions import FunctionProcess
from steelyard.contestants.harness.options import PlanFirst
from steelyard.contestants.harness.record import Recorder
from steelyard.contestants.harness.tools import Outcome, SimpleTool, Tool, ToolError, schema
from steelyard.errors import EndedBy, Fault
from steelyard.schema.message import ToolSpec

_MOST_STEPS = 50
SPEC = ToolSpec(
    "plan",
    "Say how you will do the task, as a list of steps. Look around first with what does not change anything. Other "
    "tools work once the plan is accepted; each call then names the number of its step. Call it again to change it.",
    schema({"steps": {"type": "array", "items": {"type": "string"}}}, ["steps"]),
)
_STEP = {"type": "integer", "description": "number of the plan's step that this belongs to, from 1"}


@dataclass(slots=True)
class Planning:
    """The plan of one trial."""

    mode: PlanFirst
    contestant: str
    task: str
    instruction: str
    recorder: Recorder
    approver: Approver | None = None
    judge: FunctionProcess | None = None
    steps: tuple[str, ...] = ()
    version: int = 0
    done: list[int] = field(default_factory=list)

    def tool(self) -> SimpleTool:
        """For the toolbox."""
        return SimpleTool(SPEC, self._plan, acts=False)

    def specs(self, tools: Sequence[Tool]) -> tuple[ToolSpec, ...]:
        """Before a plan only what does not act is offered; after it every acting tool takes `step`."""
        if not self.steps:
            return tuple(t.spec for t in tools if not t.acts and t.spec.name != "submit")
        return tuple(_with_step(t.spec) if t.acts else t.spec for t in tools)

    def admit(self, tool: Tool, arguments: dict[str, object]) -> dict[str, object]:
        """The call without its step, which is recorded. Raises ToolError."""
        if not self.steps:
            if tool.acts or tool.spec.name == "submit":
                raise ToolError("No plan is accepted yet. Call `plan` with your steps first.")
            return arguments
        if not tool.acts:
            return arguments
        step = arguments.get("step")
        if not isinstance(step, int | float) or not 1 <= step <= len(self.steps):
            raise ToolError(f"`step` must be the number of a step of your plan, from 1 to {len(self.steps)}.")
        self.recorder.happened(
            "step",
            self.steps[int(step) - 1],
            {"step": int(step), "version": self.version, "tool": tool.spec.name},
        )
        return {k: v for k, v in arguments.items() if k != "step"}

    async def _plan(self, arguments: dict[str, object]) -> Outcome:
        given = arguments["steps"]
        steps = tuple(str(s).strip() for s in given if str(s).strip()) if isinstance(given, list) else ()
        if not 1 <= len(steps) <= _MOST_STEPS:
            raise ToolError(f"A plan has from 1 to {_MOST_STEPS} steps, each a text. Call `plan` again.")
        self.version += 1
        consent = await self._consent(steps)
        accepted = consent.edited or steps
        self.recorder.happened(
            "plan",
            "accepted" if consent.yes else "refused",
            {
                "version": self.version,
                "steps": list(steps),
                "accepted": list(accepted) if consent.yes else [],
                "by": self.mode.approve,
                "because": consent.because,
            },
        )
        if not consent.yes:
            why = f" {consent.because.rstrip('.')}." if consent.because else ""
            raise ToolError(f"The plan is refused.{why} Make another one.")
        self.steps = accepted
        changed = " It was changed:" if consent.edited and consent.edited != steps else ""
        listed = "\n".join(f"{n}. {s}" for n, s in enumerate(accepted, 1))
        return Outcome(f"The plan is accepted.{changed}\n{listed}\nGive `step` with every call that acts.")

    async def _consent(self, steps: tuple[str, ...]) -> Consent:
        if self.mode.approve == "auto":
            return Consent(True)
        if self.mode.approve == "ask":
            if self.approver is None:
                raise operator_needed("a plan is to be approved")
            return await self.approver.ask(Question(self.contestant, self.task, "plan", "\n".join(steps)))
        assert self.judge is not None
        try:
            said = await self.judge.call({"steps": list(steps), "task": self.instruction})
        except ToolError as e:  # the operator's own function: no doing of the model's, which cannot mend it
            raise Fault(
                f"`{self.judge.target}`, which is to judge plans: {e}",
                ended_by=EndedBy.OPERATOR,
                kind="plan_judge",
            ) from e
        return _read_consent(said)


def _read_consent(said: str) -> Consent:
    """What a function returned: true, false, other steps, or a reason to refuse."""
    try:
        value = json.loads(said)
    except ValueError:
        return Consent(False, said[:1000])
    if isinstance(value, list):
        edited = tuple(str(s) for s in value if str(s).strip())
        return Consent(bool(edited), edited=edited)
    return Consent(value is True, "" if isinstance(value, bool) else said[:1000])


def _with_step(spec: ToolSpec) -> ToolSpec:
    properties = spec.parameters.get("properties")
    needed = spec.parameters.get("required")
    return msgspec.structs.replace(
        spec,
        parameters={
            **spec.parameters,
            "properties": {"step": _STEP, **(properties if isinstance(properties, dict) else {})},
            "required": ["step", *(needed if isinstance(needed, list | tuple) else ())],
        },
    )
