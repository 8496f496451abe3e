"""The `contestants` part of a plan file: one entry a contestant, or a matrix of models x prompts x settings.

Kinds are told by what an entry holds: `agent`, `callable`, `url`, `recording`, a model `embedded/NAME`, else it is an
endpoint.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import msgspec

from steelyard.runner.planagents import AGENT_KEYS, agent_of
from steelyard.runner.planpolicies import policy_of
from steelyard.runner.plansecrets import check_fields, check_query, headers_of, is_secret, variable_of
from steelyard.schema.contestant import ContestantSpec, Kind, Prompt, Sampling
from steelyard.schema.price import Price
from steelyard.tasks.yamldoc import Doc

SAMPLING_KEYS = (
    "max_tokens", "temperature", "top_p", "stop", "logprobs", "reasoning_effort", "send_seed", "extra",
)  # fmt: skip
PROMPT_KEYS = ("name", "system", "template", "few_shot")
PRICE_KEYS = (
    "input", "output", "cached_input", "cache_write", "per_call", "date", "source", "tier", "above_tokens",
    "above_input", "above_output", "audio_input", "audio_output",
)  # fmt: skip
ENDPOINT_KEYS = ("base_url", "dialect", "key_env", "headers", "verify_tls", "context_tokens")
OTHER_KEYS = (
    "callable", "url", "method", "request", "response", "recording", "fields", "where", "ids", "harness", "weights",
    "policy", "trace",
)  # fmt: skip
COMMON_KEYS = ("name", "model", "provider", "prompt", "price", "stream", "timeout", *SAMPLING_KEYS)
CONTESTANT_KEYS = (
    *COMMON_KEYS, *ENDPOINT_KEYS, *OTHER_KEYS, *AGENT_KEYS, "matrix", "system", "template", "few_shot",
)  # fmt: skip
SETTING_KEYS = (*SAMPLING_KEYS, "name", "stream", "price", "system", "prompt", *AGENT_KEYS)
"""What one line of the `settings` axis of a matrix may change."""
MATRIX_KEYS = ("models", "prompts", "settings")
DIALECTS = ("openai-chat", "openai-responses", "anthropic-messages")
KNOWN_HOSTS: Mapping[str, tuple[str, str, str, str]] = {
    "openai": ("https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY", "openai-chat"),
    "anthropic": (
        "https://api.anthropic.com",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_API_KEY",
        "anthropic-messages",
    ),
}
"""Provider prefix of a model to (base URL, variable that overrides it, variable of the key, dialect)."""


def contestants_of(
    doc: Doc, prompts: Mapping[str, Prompt], environ: Mapping[str, str]
) -> Iterator[ContestantSpec]:
    """The contestants that one entry stands for."""
    if not doc.is_mapping:
        yield _one(doc, {"model": doc}, prompts, environ)
        return
    keys = doc.entries(CONTESTANT_KEYS)
    if "matrix" not in keys:
        yield _one(doc, keys, prompts, environ)
        return
    yield from _matrix(doc, keys, prompts, environ)


def _matrix(
    doc: Doc, keys: dict[str, Doc], prompts: Mapping[str, Prompt], environ: Mapping[str, str]
) -> Iterator[ContestantSpec]:
    axes = keys["matrix"].entries(MATRIX_KEYS)
    if not axes:
        raise keys["matrix"].fail("an empty matrix", wanted="models, prompts or settings")
    for axis in axes.values():
        if axis.is_null or not any(True for _ in axis.items()):
            raise axis.fail("an axis without values", wanted="at least one", fix="fill it, or leave it out")
    rest = {k: v for k, v in keys.items() if k not in ("matrix", "name")}
    models: list[Doc | None] = [*axes["models"].items()] if "models" in axes else [None]
    shown: list[Doc | None] = [*axes["prompts"].items()] if "prompts" in axes else [None]
    settings: list[Doc | None] = [*axes["settings"].items()] if "settings" in axes else [None]
    for model, prompt, setting in itertools.product(models, shown, settings):
        own = dict(rest)
        if model is not None:
            if model.is_mapping:
                own.update(model.entries(CONTESTANT_KEYS))
            else:
                own["model"] = model
        if prompt is not None:
            own["prompt"] = prompt
        if setting is not None:
            own.update({k: v for k, v in setting.entries(SETTING_KEYS).items() if k != "name"})
        spec = _one(doc, own, prompts, environ)
        parts = [spec.name]
        if len(shown) > 1 and prompt is not None:
            parts.append(spec.prompt.name or f"prompt{shown.index(prompt) + 1}")
        if len(settings) > 1 and setting is not None:
            given = setting.entries()
            parts.append(
                given["name"].text()
                if "name" in given
                else ",".join(f"{k}={v.shown().strip(chr(39))}" for k, v in given.items())
            )
        yield msgspec.structs.replace(spec, name=" · ".join(parts))


_TIMEOUT_S = {"agent": 600.0}
"""Of one call. Agents ask for long outputs; their trials are bounded by `limits`."""


def _one(
    doc: Doc, keys: Mapping[str, Doc], prompts: Mapping[str, Prompt], environ: Mapping[str, str]
) -> ContestantSpec:
    model = keys["model"].text() if "model" in keys else ""
    kind = _kind(doc, keys, model)
    config, provider = _config(doc, keys, kind, model, environ)
    harness = keys["harness"].text() if "harness" in keys else ""
    if kind == "agent":
        harness, config["agent"] = agent_of(doc, keys)
    elif misplaced := next((k for k in AGENT_KEYS if k in keys), None):
        raise keys[misplaced].fail(f"`{misplaced}` belongs to an agent", fix="add `agent: steelyard`")
    if kind in ("endpoint", "agent") and model.split("/", 1)[0] in KNOWN_HOSTS and "base_url" not in keys:
        model = model.split("/", 1)[1]
    if kind == "embedded":
        model = model.removeprefix("embedded/")
    marks = (config.get(k) for k in ("policy", "target", "url", "path"))
    default = model or str(next(filter(None, marks), kind))
    prompt = _inline_prompt(doc, keys, prompts)
    return ContestantSpec(
        name=keys["name"].text() if "name" in keys else default,
        kind=kind,
        model=model,
        provider=keys["provider"].text() if "provider" in keys else provider,
        harness=harness,
        sampling=_sampling(keys),
        prompt=prompt,
        price=_price(keys, kind),
        config=config,
        stream=keys["stream"].boolean() if "stream" in keys else False,
        timeout_s=keys["timeout"].number(0.1, 86400) if "timeout" in keys else _TIMEOUT_S.get(kind, 120.0),
    )


def _kind(doc: Doc, keys: Mapping[str, Doc], model: str) -> Kind:
    marks: Sequence[tuple[str, Kind]] = (
        ("agent", "agent"),
        ("callable", "callable"),
        ("url", "http"),
        ("recording", "recording"),
        ("policy", "policy"),
    )
    found = [kind for key, kind in marks if key in keys]
    if len(found) > 1:
        raise doc.fail(
            "more than one kind of contestant in one entry",
            wanted="one of agent, callable, url, recording, policy",
            got=str(found),
        )
    if found and (found[0] != "agent" or model):
        return found[0]
    if not model:
        raise doc.fail(
            "a contestant without a model",
            wanted="`model: NAME` with `base_url`, or `callable:`, `url:`, `recording:`",
            fix="see docs/reference/plan-file.md",
        )
    return "embedded" if model.startswith("embedded/") else "endpoint"


def _config(
    doc: Doc, keys: Mapping[str, Doc], kind: Kind, model: str, environ: Mapping[str, str]
) -> tuple[dict[str, object], str]:
    """(config, name of the limiter) of a contestant."""
    config: dict[str, object] = {}
    if "context_tokens" in keys:
        config["context_tokens"] = keys["context_tokens"].integer(1)
    if kind in ("endpoint", "agent"):
        return _endpoint(doc, keys, model, environ, config)
    if kind == "policy":
        return policy_of(doc, keys), "policy"
    if kind == "callable":
        return {**config, "target": keys["callable"].text()}, "callable"
    if kind == "recording":
        return {**config, **_recorded(keys), "path": keys["recording"].text()}, "recording"
    if kind == "embedded":
        if "weights" in keys:
            config["weights"] = keys["weights"].text()
        return config, "embedded"
    url = _url(keys["url"])
    config["url"] = url
    config["method"] = keys["method"].choice(("GET", "POST", "PUT")) if "method" in keys else "POST"
    for key in ("request", "response"):
        if key in keys:
            config[key] = keys[key].plain()
            check_fields(keys[key], config[key])
    if "headers" in keys:
        config["headers"] = headers_of(keys["headers"])
    if "key_env" in keys:
        config["key_env"] = variable_of(keys["key_env"])
    return config, urlsplit(url).netloc


def _recorded(keys: Mapping[str, Doc]) -> dict[str, object]:
    """How a recording is read."""
    config: dict[str, object] = {}
    if "fields" in keys:
        config["fields"] = {
            k: [c.text() for c in v.items()] if k == "id" and v.is_sequence else v.text()
            for k, v in keys["fields"].entries().items()
        }
    if "where" in keys:
        config["where"] = {k: v.text() for k, v in keys["where"].entries().items()}
    if "ids" in keys and keys["ids"].choice(("column", "row")) == "row":
        config["ids"] = "row"
    return config


def _endpoint(
    doc: Doc, keys: Mapping[str, Doc], model: str, environ: Mapping[str, str], config: dict[str, object]
) -> tuple[dict[str, object], str]:
    known = KNOWN_HOSTS.get(model.split("/", 1)[0]) if "/" in model else None
    dialect = keys["dialect"].choice(DIALECTS) if "dialect" in keys else "openai-chat"
    key_env = "ANTHROPIC_API_KEY" if dialect == "anthropic-messages" else "OPENAI_API_KEY"
    if "base_url" in keys:
        base = _url(keys["base_url"])
        provider = urlsplit(base).netloc
        key_env = key_env if _may_have_the_key(base) else ""
    elif known is not None:
        standard, variable, key_env, default_dialect = known
        base = _from_variable(doc, variable, environ.get(variable) or standard)
        dialect = dialect if "dialect" in keys else default_dialect
        provider = model.split("/", 1)[0]
    elif environ.get("OPENAI_BASE_URL") and dialect != "anthropic-messages":
        base = _from_variable(doc, "OPENAI_BASE_URL", environ["OPENAI_BASE_URL"])
        provider = urlsplit(base).netloc
    else:
        raise doc.fail(
            f"where is `{model}` served?",
            wanted="`base_url: http://...`, or a model named openai/NAME, anthropic/NAME or embedded/NAME",
            got=model,
            fix="add `base_url`, or set OPENAI_BASE_URL",
        )
    config["base_url"], config["dialect"] = base.rstrip("/"), dialect
    if "key_env" in keys:
        key_env = variable_of(keys["key_env"])
    if key_env:
        config["key_env"] = key_env
    if "headers" in keys:
        config["headers"] = headers_of(keys["headers"])
    if "verify_tls" in keys:
        config["verify_tls"] = keys["verify_tls"].boolean()
    return config, provider


def _may_have_the_key(base: str) -> bool:
    """A key meant for one provider goes to that provider or to this machine; anywhere else `key_env` must say so."""
    host = urlsplit(base).hostname or ""
    return (
        host.endswith((".openai.com", ".anthropic.com"))
        or host in ("localhost", "::1")
        or host.startswith("127.")
    )


def _from_variable(doc: Doc, variable: str, base: str) -> str:
    """A base URL that the environment gives: it is kept in the ledger, so it must not hold a credential either."""
    parts = urlsplit(base)
    credential = parts.username or parts.password or any(is_secret(n) for n, _ in parse_qsl(parts.query))
    if parts.scheme not in ("http", "https") or not parts.hostname or credential:
        raise doc.fail(
            f"{variable} is not a URL that can be called, or holds a credential",
            wanted="http:// or https://, a host, and no user, password or key",
            got=f"{variable}={parts.scheme}://{parts.hostname or ''}",
            fix=f"set {variable} anew, or write `base_url` here",
        )
    return base


def _url(doc: Doc) -> str:
    value = doc.text()
    if not value.isascii() or not value.isprintable() or " " in value:
        raise doc.fail("a URL with a space or a character outside ASCII", wanted="http://host[:port]/path")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise doc.fail("not a URL", wanted="http://host[:port]/path") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise doc.fail("not a URL that can be called", wanted="http:// or https:// and a host")
    if parts.username or parts.password:
        raise doc.fail(
            "a credential inside a URL would be kept in the ledger",
            wanted="a URL without user and password",
            got=f"{parts.scheme}://***@{parts.hostname}" + (f":{port}" if port else ""),
            fix="name the variable that holds the key in `key_env`",
        )
    check_query(doc, parts.query)
    return value


def prompt_of(doc: Doc, prompts: Mapping[str, Prompt]) -> Prompt:
    """A prompt: the name of one under `prompts`, a template with {input}, or a mapping."""
    if not doc.is_mapping:
        text = doc.text()
        if text in prompts:
            return prompts[text]
        if "{" not in text:
            known = ", ".join(prompts) or "none are defined"
            raise doc.fail(
                "no prompt of that name", wanted=f"a name under `prompts` ({known}), or text with {{input}}"
            )
        return Prompt(template=text)
    keys = doc.entries(PROMPT_KEYS)
    return Prompt(
        name=keys["name"].text() if "name" in keys else "",
        system=keys["system"].text() if "system" in keys else "",
        template=keys["template"].text() if "template" in keys else "",
        few_shot=keys["few_shot"].integer(0, 100) if "few_shot" in keys else 0,
    )


def _inline_prompt(doc: Doc, keys: Mapping[str, Doc], prompts: Mapping[str, Prompt]) -> Prompt:
    inline = {k: keys[k] for k in ("system", "template", "few_shot") if k in keys}
    if "prompt" in keys:
        if inline:
            raise doc.fail(
                "`prompt` beside " + ", ".join(inline), fix="put them inside `prompt`, or leave it out"
            )
        return prompt_of(keys["prompt"], prompts)
    return Prompt(
        system=inline["system"].text() if "system" in inline else "",
        template=inline["template"].text() if "template" in inline else "",
        few_shot=inline["few_shot"].integer(0, 100) if "few_shot" in inline else 0,
    )


def _sampling(keys: Mapping[str, Doc]) -> Sampling:
    extra = keys["extra"].plain() if "extra" in keys else {}
    if not isinstance(extra, dict):
        raise keys["extra"].fail("not a mapping", wanted="`name: value` pairs to send as they are")
    if extra:
        check_fields(keys["extra"], extra)
    return Sampling(
        max_tokens=keys["max_tokens"].integer(1, 10**7) if "max_tokens" in keys else None,
        temperature=keys["temperature"].number(0, 2) if "temperature" in keys else None,
        top_p=keys["top_p"].number(0, 1) if "top_p" in keys else None,
        stop=tuple(s.text(allow_empty=False) for s in keys["stop"].items()) if "stop" in keys else (),
        logprobs=keys["logprobs"].integer(0, 20) if "logprobs" in keys else None,
        reasoning_effort=keys["reasoning_effort"].text() if "reasoning_effort" in keys else "",
        send_seed=keys["send_seed"].boolean() if "send_seed" in keys else True,
        extra=cast("dict[str, object]", extra),
    )


def _price(keys: Mapping[str, Doc], kind: Kind) -> Price | None:
    if "price" not in keys:
        free = {"embedded": "runs on this machine", "policy": "has no model"}.get(kind)
        return None if free is None else Price(input=0, output=0, source=free)
    doc = keys["price"]
    p = doc.entries(PRICE_KEYS)
    for need in ("input", "output"):
        if need not in p:
            raise doc.fail(f"a price without `{need}`", wanted="dollars a million tokens", got="nothing")

    def optional(key: str) -> float | None:
        return p[key].number(0, 1e5) if key in p else None

    return Price(
        input=p["input"].number(0, 1e5),
        output=p["output"].number(0, 1e5),
        cached_input=optional("cached_input"),
        cache_write=optional("cache_write"),
        per_call=optional("per_call") or 0.0,
        date=p["date"].text() if "date" in p else "",
        source=p["source"].text() if "source" in p else "",
        tier=p["tier"].text() if "tier" in p else "",
        above_tokens=p["above_tokens"].integer(0) if "above_tokens" in p else 0,
        above_input=optional("above_input"),
        above_output=optional("above_output"),
        audio_input=optional("audio_input"),
        audio_output=optional("audio_output"),
    )
