"""Agents' trajectories: SWE-agent `.traj`, ATIF (the interchange form of Harbor) and tau-bench's lists of runs.

None but tau-bench says whether the agent succeeded: such trials come in unscored and await judgement.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from steelyard.errors import DataError
from steelyard.ledger.importers.base import (
    ImportOptions,
    Json,
    TrialIn,
    a_count,
    a_list,
    a_text,
    an_object,
    nanoseconds,
    parse_json,
    picodollars,
    read_all,
    score_of,
    unix_ns,
)
from steelyard.ledger.importers.chat import message_of
from steelyard.schema.message import Message, ToolCall, text_of
from steelyard.schema.reply import Reply, Usage
from steelyard.schema.task import Task
from steelyard.schema.trace import Event, Happened, Said, Trace

_LIMITS = ("cost", "context", "timeout", "limit", "calls")


def stem(path: Path) -> str:
    """The file's name without `.gz` and its last ending."""
    name = path.name.removesuffix(".gz")
    return name.rsplit(".", 1)[0] if "." in name else name


def read_swe_agent(path: Path, options: ImportOptions) -> Iterator[TrialIn]:
    """One `.traj`: one trial of the task that the file is named after."""
    raw = an_object(parse_json(read_all(path), str(path)))
    history = [an_object(h) for h in a_list(raw.get("history"))]
    if not a_list(raw.get("trajectory")) and not history:
        raise DataError("not a SWE-agent trajectory", where=str(path), wanted="trajectory and history")
    info, steps = an_object(raw.get("info")), [an_object(s) for s in a_list(raw.get("trajectory"))]
    stats = an_object(info.get("model_stats"))
    paid = bool(a_count(stats.get("tokens_sent")) or picodollars(stats.get("instance_cost")))
    usage = (
        Usage(a_count(stats.get("tokens_sent")), a_count(stats.get("tokens_received"))) if paid else Usage()
    )
    ended_by, fault = _swe_end(a_text(info.get("exit_status")))
    agent = an_object(an_object(an_object(raw.get("replay_config")).get("agent")).get("model"))
    events = _swe_events(history, steps)
    asked = next((text_of(m) for m in map(message_of, history) if m.role == "user"), "")
    submission = a_text(info.get("submission"))
    yield TrialIn(
        contestant=options.contestant or a_text(agent.get("name")) or "SWE-agent",
        suite=options.suite or a_text(raw.get("environment")) or "swe-agent",
        task=Task(id=stem(path), input=asked),
        reply=Reply(text=submission, usage=usage) if submission or ended_by == "contestant" else None,
        trace=Trace(
            tuple(events),
            usage=usage if paid else None,
            submission=submission,
            source="swe-agent",
            attributes={k: info[k] for k in ("exit_status", "model_stats") if k in info},
        ),
        ended_by=ended_by,
        fault=fault,
        cost_pusd=picodollars(stats.get("instance_cost")) if paid else None,
        where=str(path),
    )


def _swe_events(history: list[Json], steps: list[Json]) -> Iterator[Event]:
    """The conversation; a step's state and execution time go to the message that shows its observation."""
    done = iter(steps)
    running: Json = {}
    for raw in history:
        message = message_of(raw)
        if message.role == "assistant":
            is_step = not raw.get("is_demo")
            running = next(done, {}) if is_step else {}
            yield Said(message)
        else:
            yield Said(message, duration_ns=nanoseconds(running.get("execution_time")))
            running = {}
    for step in done:  # what was done after the last message that was kept
        yield Happened(
            "step", a_text(step.get("action")), data={"observation": a_text(step.get("observation"))}
        )


def _swe_end(status: str) -> tuple[str, str]:
    if status.startswith("submitted (exit_") or any(w in status for w in _LIMITS):
        return "budget", status
    if "environment" in status or "docker" in status:
        return "sandbox", status
    if "api" in status or "error" in status:
        return "provider" if "api" in status else "us", status
    return ("contestant", "") if status == "submitted" else ("contestant", status or "no_exit_status")


def read_atif(path: Path, options: ImportOptions) -> Iterator[TrialIn]:
    """One ATIF trajectory: one trial of the task that its session (or the file) is named after."""
    raw = an_object(parse_json(read_all(path), str(path)))
    agent, final = an_object(raw.get("agent")), an_object(raw.get("final_metrics"))
    name = "/".join(filter(None, (a_text(agent.get("name")), a_text(agent.get("model_name")))))
    steps = [an_object(s) for s in a_list(raw.get("steps"))]
    events = [e for s in steps for e in _atif_events(s)]
    said = [e.message for e in events if isinstance(e, Said)]
    answer = next((text_of(m) for m in reversed(said) if m.role == "assistant"), "")
    usage = Usage(
        a_count(final.get("total_prompt_tokens")),
        a_count(final.get("total_completion_tokens")),
        a_count(final.get("total_cached_tokens")),
    )
    yield TrialIn(
        contestant=options.contestant or name or "agent",
        suite=options.suite or "atif",
        task=Task(
            id=stem(path) if stem(path) != "trajectory" else a_text(raw.get("session_id")) or stem(path),
            input=next((text_of(m) for m in said if m.role == "user"), ""),
        ),
        reply=Reply(text=answer, usage=usage, model=a_text(agent.get("model_name"))),
        trace=Trace(
            tuple(events),
            usage=usage,
            started_at=unix_ns(steps[0].get("timestamp")) if steps else 0,
            source=a_text(raw.get("schema_version")) or "ATIF",
            attributes={"agent": dict(agent), "session_id": a_text(raw.get("session_id"))},
        ),
        cost_pusd=picodollars(final.get("total_cost_usd")),
        at=unix_ns(steps[-1].get("timestamp")) if steps else 0,
        model=a_text(agent.get("model_name")),
        where=str(path),
    )


def _atif_events(step: Json) -> Iterator[Event]:
    source, at = a_text(step.get("source")), unix_ns(step.get("timestamp"))
    metrics = an_object(step.get("metrics"))
    calls = [an_object(c) for c in a_list(step.get("tool_calls"))]
    message = message_of(
        {"role": source, "content": step.get("message"), "reasoning": step.get("reasoning_content")}
    )
    if calls:
        named = tuple(
            ToolCall(
                a_text(c.get("tool_call_id")), a_text(c.get("function_name")), a_text(c.get("arguments"))
            )
            for c in calls
        )
        message = Message(message.role, message.content, named, reasoning=message.reasoning)
    usage = Usage(
        a_count(metrics.get("prompt_tokens")),
        a_count(metrics.get("completion_tokens")),
        a_count(metrics.get("cached_tokens")),
    )
    yield Said(message, at=at, usage=usage if metrics else None, model=a_text(step.get("model_name")))
    for raw in a_list(an_object(step.get("observation")).get("results")):
        result = an_object(raw)
        call = a_text(result.get("source_call_id"))
        yield Said(
            message_of({"role": "tool", "content": result.get("content"), "tool_call_id": call}), at=at
        )


def read_tau_bench(path: Path, options: ImportOptions) -> Iterator[TrialIn]:
    """A list of runs: task_id, trial, reward, info, traj."""
    runs = parse_json(read_all(path), str(path))
    for i, raw in enumerate(a_list(runs)):
        run, where = an_object(raw), f"{path}[{i}]"
        if "task_id" not in run or "traj" not in run:
            wanted = "task_id, trial, reward, traj"
            raise DataError("not a tau-bench run", where=where, wanted=wanted, got=", ".join(run))
        info, asked = an_object(run.get("info")), an_object(an_object(run.get("info")).get("task"))
        messages = [message_of(an_object(m)) for m in a_list(run.get("traj"))]
        last = next((text_of(m) for m in reversed(messages) if m.role == "assistant"), "")
        error = a_text(info.get("error"))
        reward = an_object(info.get("reward_info"))
        yield TrialIn(
            contestant=options.contestant or stem(path),
            suite=options.suite or "tau-bench",
            task=Task(
                id=a_text(run["task_id"]),
                input=a_text(asked.get("instruction")),
                fields={k: asked[k] for k in ("user_id", "actions", "outputs") if k in asked},
            ),
            k=a_count(run.get("trial")),
            reply=None if error else Reply(text=last),
            trace=Trace(
                tuple(Said(m) for m in messages),
                source="tau-bench",
                attributes={"reward_info": dict(reward)} if reward else {},
            ),
            scores=(("tau-bench:reward", score_of(None if error else run.get("reward"))),),
            ended_by="us" if error else "contestant",
            fault="tau_bench_error" if error else "",
            detail=error[:2000],
            where=where,
        )
