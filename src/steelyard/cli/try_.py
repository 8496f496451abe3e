"""`steelyard try data.jsonl --model ...`: measure without writing a plan file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from steelyard.cli.caps import CapValue, asked, cap_options
from steelyard.cli.common import (
    environment,
    finish,
    json_option,
    ledger_option,
    open_place,
    our_version,
    run_async,
)
from steelyard.cli.out import packed
from steelyard.cli.rescore import scorer_spec
from steelyard.errors import UsageError

if TYPE_CHECKING:
    from steelyard.ledger.base import Ledger
    from steelyard.runner.base import RunOutcome


SERVED = ("openai", "anthropic", "embedded")
"""What a model's name may begin with, to say where it is served."""


@dataclass(frozen=True, slots=True)
class TryOptions:
    """What the command line said."""

    source: str
    models: tuple[str, ...]
    base_url: str | None
    key_env: str | None
    concurrency: int
    scorer: str
    trials: int
    until: float | None
    limit: int | None
    input_field: str | None
    target_field: str | None
    prompt: str | None
    system: str | None
    max_tokens: int | None
    temperature: float | None
    stream: bool
    seed: int
    money: CapValue
    total_tokens: CapValue
    minutes: CapValue
    price: str | None
    timeout: float
    dry_run: bool
    no_live: bool
    place: str | None
    as_json: bool


@click.command("try")
@click.argument("source", metavar="DATA")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Model; may be given several times.")
@click.option(
    "--base-url", default=None, metavar="URL", help="OpenAI-compatible endpoint [env OPENAI_BASE_URL]."
)
@click.option("--key-env", default=None, metavar="VAR", help="Variable that holds the endpoint's key.")
@click.option(
    "--concurrency", default=16, show_default=True, type=click.IntRange(1, 4096), help="Calls in flight."
)
@click.option(
    "--scorer", default="", metavar="SPEC", help="exact, includes, numeric, choice, ... or YAML [exact]."
)
@click.option("--trials", default=1, show_default=True, type=click.IntRange(1, 255), help="Trials a task.")
@click.option("--until", type=float, default=None, metavar="W", help="Repeat until the half-width is W.")
@click.option("--limit", type=click.IntRange(1), default=None, help="Only so many tasks.")
@click.option("--input", "input_field", default=None, metavar="FIELD", help="Column of the question [input].")
@click.option(
    "--target", "target_field", default=None, metavar="FIELD", help="Column of the answer [target]."
)
@click.option("--prompt", default=None, metavar="TEMPLATE", help="Template of the user turn, with {input}.")
@click.option("--system", default=None, metavar="TEXT", help="System message.")
@click.option("--max-tokens", type=click.IntRange(1), default=None, help="Bound of an answer.")
@click.option("--temperature", type=float, default=None, help="Sampling temperature.")
@click.option("--stream", is_flag=True, help="Ask for streamed answers (gives time to first token).")
@click.option("--seed", default=0, show_default=True, help="Seed of order, choices and calls.")
@cap_options("--max-cost", "--max-total-tokens", "--max-minutes")
@click.option("--price", default=None, metavar="IN/OUT", help="Dollars a million tokens, such as 0.15/0.60.")
@click.option("--timeout", default=120.0, show_default=True, help="Seconds a call may take.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent and its worst-case cost; send nothing.")
@click.option("--no-live", is_flag=True, help="Plain lines instead of the live view.")
@ledger_option
@json_option
@packed(TryOptions)
def command(o: TryOptions) -> None:
    """Measure models on the tasks in DATA (JSONL, CSV, Parquet, YAML, or builtin:NAME).

    Fields `input` and `target` by default. Exit codes as for `steelyard run`.
    """
    found = _measured(o, environment())
    if found is not None:
        finish(*found, as_json=o.as_json, place=o.place or "")


def _measured(o: TryOptions, environ: Mapping[str, str]) -> tuple[Ledger, RunOutcome] | None:
    """The ledger and how the run ended; None after a dry run. What the run held in memory is gone by then."""
    # lazy: the engine is loaded after the command line is known to be right
    from steelyard.cli.live import watcher
    from steelyard.runner.planfile import parse_plan
    from steelyard.runner.prepare import prepare
    from steelyard.runner.session import Options, begin
    from steelyard.tasks import yamldoc

    _check_served(o, environ)
    text = yaml.safe_dump(_plan(o), sort_keys=False)
    ready = prepare(parse_plan(yamldoc.parse(text, "command line"), Path.cwd(), environ))
    if o.dry_run:
        # lazy: only needed here
        from steelyard.cli.dry import print_dry_run

        print_dry_run(ready, 3, as_json=o.as_json)
        return None
    ledger = open_place(o.place, create=True)
    options = Options(environ, our_version(), watch=watcher(plain=o.no_live or o.as_json))
    return ledger, run_async(lambda: begin(ready, ledger, options))


def _check_served(o: TryOptions, environ: Mapping[str, str]) -> None:
    """Refuse a model of which nobody says where it is served, in the words of this command line."""
    if o.base_url is not None or environ.get("OPENAI_BASE_URL"):
        return
    for model in o.models:
        if model.split("/", 1)[0] not in SERVED:
            raise UsageError(
                f"where is `{model}` served?",
                wanted="--base-url URL, or a model named openai/NAME, anthropic/NAME or embedded/NAME",
                got=f"--model {model}",
                fix="add --base-url, or set OPENAI_BASE_URL; `--model embedded/steelyard-small` needs neither",
            )


def _plan(o: TryOptions) -> dict[str, object]:
    """The plan file that this command line stands for."""
    if not o.models:
        raise UsageError(
            "no model",
            wanted="--model NAME",
            got="none",
            fix="embedded models need no endpoint: --model embedded/NAME",
        )
    suite: dict[str, object] = {"source": o.source}
    fields = {k: v for k, v in (("input", o.input_field), ("target", o.target_field)) if v}
    if fields:
        suite["fields"] = fields
    if o.scorer:
        suite["scorer"] = scorer_spec(o.scorer)
    if o.limit is not None:
        suite["limit"] = o.limit
    shared: dict[str, object] = {"timeout": o.timeout, "stream": o.stream}
    for key, value in (
        ("base_url", o.base_url),
        ("key_env", o.key_env),
        ("max_tokens", o.max_tokens),
        ("temperature", o.temperature),
        ("template", o.prompt),
        ("system", o.system),
    ):
        if value is not None:
            shared[key] = value
    if o.price is not None:
        shared["price"] = _price(o.price)
    plan: dict[str, object] = {
        "name": Path(o.source).stem or o.source,
        "suites": [suite],
        "contestants": [_contestant(m, shared) for m in o.models],
        "trials": o.trials if o.until is None else {"until": o.until, "at_most": max(o.trials, 20)},
        "concurrency": o.concurrency,
        "seed": o.seed,
    }
    caps = asked(o.money, o.total_tokens, o.minutes)
    if any(value is not None for value in caps.values()):
        plan["caps"] = {k: v for k, v in caps.items() if v is not None}
    return plan


def _contestant(model: str, shared: dict[str, object]) -> dict[str, object]:
    """One entry; an embedded model has no endpoint, so what names one is left out."""
    if not model.startswith("embedded/"):
        return {"model": model, **shared}
    return {"model": model, **{k: v for k, v in shared.items() if k not in ("base_url", "key_env")}}


def _price(text: str) -> dict[str, object]:
    parts = text.split("/")
    try:
        numbers = [float(p) for p in parts]
    except ValueError:
        numbers = []
    if len(numbers) != 2:
        raise UsageError(
            "--price cannot be read", wanted="INPUT/OUTPUT dollars a million tokens: 0.15/0.60", got=text
        )
    return {"input": numbers[0], "output": numbers[1]}
