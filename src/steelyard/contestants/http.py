"""The user's own application behind HTTP: any request by a template, any JSON answer by a path.

`config`: `url`, `method`, `headers`, `request` (JSON with placeholders; default ``{"input": "{input}"}``), `response`
(where the answer stands: a dotted path, or a mapping with `text` and any of `input_tokens`, `output_tokens`, `cost`;
without it the whole body is the answer). Placeholders in texts of the template: `{input}`, `{task_id}`, `{trial}`,
`{seed}`; a text that is just `{messages}` or `{seed}` or `{trial}` becomes the list or the number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from steelyard.contestants.base import Answer, Ask
from steelyard.contestants.endpoint import endpoint_of
from steelyard.contestants.figures import count_of, pusd_of, writable
from steelyard.contestants.recording import dig
from steelyard.errors import Fault, PlanError
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import text_of
from steelyard.schema.reply import Reply, Usage
from steelyard.wire.base import HttpRequest
from steelyard.wire.client import Client, HttpAnswer
from steelyard.wire.faults import fault, kind_of_status, retry_after

RESPONSE_KEYS = ("text", "input_tokens", "output_tokens", "cost")


def fill(template: object, values: Mapping[str, object]) -> object:
    """The template with its placeholders replaced; what is put in is not looked at again."""
    if isinstance(template, str):
        for name, value in values.items():
            if template == f"{{{name}}}":
                return value
        pieces: list[str] = []
        rest = template
        while True:
            hits = [(rest.find(f"{{{n}}}"), n) for n in values]
            found = [(at, n) for at, n in hits if at >= 0]
            if not found:
                return "".join([*pieces, rest])
            at, name = min(found)
            value = values[name]
            pieces += [rest[:at], value if isinstance(value, str) else json.dumps(value)]
            rest = rest[at + len(name) + 2 :]
    if isinstance(template, dict):
        return {k: fill(v, values) for k, v in template.items()}
    if isinstance(template, list):
        return [fill(v, values) for v in template]
    return template


class HttpApplication:
    """Any HTTP endpoint as a contestant."""

    def __init__(self, spec: ContestantSpec, environ: Mapping[str, str]) -> None:
        self.spec = spec
        parts = urlsplit(str(spec.config.get("url", "")))
        self._path = parts.path or "/"
        self._query = parts.query
        self._endpoint = endpoint_of(spec, environ, f"{parts.scheme}://{parts.netloc}")
        self._template = spec.config.get("request", {"input": "{input}"})
        response = spec.config.get("response")
        paths = {"text": response} if isinstance(response, str) else response
        if paths is not None and (
            not isinstance(paths, dict) or "text" not in paths or set(paths) - set(RESPONSE_KEYS)
        ):
            raise PlanError(
                f"contestant `{spec.name}`: `response` does not say where the answer is",
                wanted="a dotted path, or a mapping with `text` and any of input_tokens, output_tokens, cost",
                got=repr(response)[:80],
            )
        self._paths = None if paths is None else {str(k): str(v) for k, v in paths.items()}
        self._client: Client | None = None

    async def open(self) -> None:
        """Make the client; nothing is sent."""
        self._client = Client(self._endpoint, max_connections=1024)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def answer(self, ask: Ask) -> Answer:
        """One exchange. Raises Fault."""
        assert self._client is not None
        users = [m for m in ask.messages if m.role == "user"]
        values: dict[str, object] = {
            "input": text_of(users[-1]) if users else "",
            "messages": [{"role": m.role, "content": text_of(m)} for m in ask.messages],
            "task_id": ask.task_id,
            "trial": ask.trial,
            "seed": ask.seed,
        }
        method = str(self.spec.config.get("method", "POST"))
        quoted = {k: quote(v if isinstance(v, str) else json.dumps(v), safe="") for k, v in values.items()}
        target = str(fill(self._path + ("?" + self._query if self._query else ""), quoted))
        body = b"" if method == "GET" else json.dumps(fill(self._template, values)).encode()
        request = HttpRequest(method, target, (("content-type", "application/json"),), body)
        return self._read(await self._client.exchange(request))

    def _read(self, answer: HttpAnswer) -> Answer:
        if not 200 <= answer.status < 300:
            wait = retry_after(answer.headers)
            raise fault(kind_of_status(answer.status), f"HTTP {answer.status}", retry_after=wait)
        try:
            text = answer.body.decode("utf-8")
        except UnicodeDecodeError:
            raise _unreadable("the body is not UTF-8") from None
        if self._paths is None:
            return Answer(Reply(text=text, timing=answer.timing))
        try:
            row: object = json.loads(text)
        except (ValueError, RecursionError):
            raise _unreadable("the body is not JSON") from None
        found = dig(row, self._paths["text"])
        if found is None:
            raise _unreadable(f"nothing stands at `{self._paths['text']}`")
        usage = Usage(count_of(self._at(row, "input_tokens")), count_of(self._at(row, "output_tokens")))
        reply = Reply(
            text=found if isinstance(found, str) else json.dumps(found), usage=usage, timing=answer.timing
        )
        return Answer(writable(reply), cost_pusd=pusd_of(self._at(row, "cost")))

    def _at(self, row: object, name: str) -> object:
        path = None if self._paths is None else self._paths.get(name)
        return dig(row, path) if path else None


def _unreadable(why: str) -> Fault:
    return fault("bad_shape", f"the application's answer cannot be read: {why}")


def make(spec: ContestantSpec, environ: Mapping[str, str]) -> HttpApplication:
    """For the table of kinds."""
    return HttpApplication(spec, environ)
