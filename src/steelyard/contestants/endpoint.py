"""A model behind an HTTP endpoint: one call of its dialect an attempt.

`config`: `base_url`, `dialect`, and of these what is needed: `key_env` (name of the variable that holds the key),
`headers`, `verify_tls`. The key is looked up when the contestant is made and lives in the transport alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from steelyard.contestants.base import Answer, Ask
from steelyard.errors import PlanError
from steelyard.schema.canon import canonical
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import AudioPart, Message, TextPart
from steelyard.schema.reply import Reply
from steelyard.schema.trace import Said, Trace
from steelyard.wire.base import Endpoint, Request
from steelyard.wire.client import Client

_VARIABLE = r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}"


def endpoint_of(spec: ContestantSpec, environ: Mapping[str, str], base_url: str) -> Endpoint:
    """The endpoint that a spec names, with its key. Raises PlanError when a key that was asked for is not there."""
    key_env = str(spec.config.get("key_env", ""))
    secret = environ.get(key_env, "").strip() if key_env else ""
    elsewhere = (urlsplit(base_url).hostname or "").endswith((".openai.com", ".anthropic.com"))
    optional = key_env in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY") and not elsewhere
    if key_env and not secret and not optional:
        raise PlanError(
            f"contestant `{spec.name}`: {key_env} is not set",
            wanted="the environment variable (or a line in .env) that holds its key",
            got="nothing",
            fix=f"export {key_env}=...",
        )
    headers = spec.config.get("headers")
    return Endpoint(
        base_url=base_url,
        dialect=str(spec.config.get("dialect", "openai-chat")),
        secret=secret,
        headers=_headers(spec, headers, environ) if isinstance(headers, dict) else (),
        secrets=tuple(environ[n] for n in re.findall(_VARIABLE, str(headers)) if environ.get(n)),
        timeout_s=spec.timeout_s,
        verify_tls=spec.config.get("verify_tls", True) is not False,
    )


def _headers(
    spec: ContestantSpec, headers: Mapping[str, object], environ: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Headers to send; `${NAME}` is what the environment holds under that name, and never leaves the transport."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if not environ.get(name):
            raise PlanError(
                f"contestant `{spec.name}`: {name} is not set",
                wanted="the environment variable (or a line in .env) that a header names",
                got="nothing",
                fix=f"export {name}=...",
            )
        return environ[name]

    return tuple((str(k), re.sub(_VARIABLE, value, str(v))) for k, v in headers.items())


class EndpointContestant:
    """One endpoint, one pool of connections."""

    def __init__(self, spec: ContestantSpec, environ: Mapping[str, str]) -> None:
        self.spec = spec
        self._endpoint = endpoint_of(spec, environ, str(spec.config.get("base_url", "")))
        self._client: Client | None = None

    async def open(self) -> None:
        """Make the client; nothing is sent."""
        self._client = Client(self._endpoint, max_connections=1024)

    async def answer(self, ask: Ask) -> Answer:
        """One call. Raises Fault."""
        assert self._client is not None
        spec = self.spec
        request = Request(
            model=spec.model,
            messages=ask.messages,
            sampling=spec.sampling,
            tools=ask.tools,
            seed=ask.seed if spec.sampling.send_seed else None,
            stream=spec.stream,
        )
        reply = await self._client.complete(request)
        if reply.audio is None:
            return Answer(reply)
        return Answer(msgspec.structs.replace(reply, audio=None), trace=_aloud(ask, reply, reply.audio))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


def _aloud(ask: Ask, reply: Reply, sound: AudioPart) -> bytes:
    """The trace of a reply that was spoken: a sound is too large for the trial's row."""
    words = (TextPart(reply.text),) if reply.text else ()
    said = Message("assistant", (*words, sound), reply.tool_calls, reasoning=reply.reasoning)
    events = (*map(Said, ask.messages), Said(said, usage=reply.usage, model=reply.model))
    return canonical(Trace(events, source="endpoint"))


def make(spec: ContestantSpec, environ: Mapping[str, str]) -> EndpointContestant:
    """For the table of kinds."""
    return EndpointContestant(spec, environ)
