"""Contestants as a plan states them: model x harness x provider x config, and the prices that hold for them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from steelyard.schema.price import Price

Kind = Literal["endpoint", "callable", "http", "recording", "embedded", "agent", "policy"]


class Sampling(Struct, frozen=True, omit_defaults=True):
    """Settings of a call. None means: not sent, the provider's default holds. `extra` is sent as it is."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    reasoning_effort: str = ""
    send_seed: bool = True
    extra: dict[str, object] = {}


class Prompt(Struct, frozen=True, omit_defaults=True):
    """How a task becomes messages: a system text, a template of the user turn, and few-shot examples.

    `template` uses `{field}` of the task (`{input}` alone by default; `{choices}` lists the options).
    """

    name: str = ""
    system: str = ""
    template: str = ""
    few_shot: int = 0


class ContestantSpec(Struct, frozen=True, omit_defaults=True):
    """What is measured. Its content hash is its identity; `name` is what tables show.

    `config` holds what the kind needs (`base_url`, `dialect`, `key_env`, `target` of a callable, `path` of a
    recording, a request template); never a credential: `key_env` names the variable that holds it.
    `provider` names the limiter that its calls share. `context_tokens` bounds input for the worst case.
    """

    name: str
    kind: Kind
    model: str = ""
    provider: str = ""
    harness: str = ""
    sampling: Sampling = Sampling()
    prompt: Prompt = Prompt()
    price: Price | None = None
    config: dict[str, object] = {}
    stream: bool = False
    timeout_s: float = 120.0
