"""`steelyard serve-models`: the embedded models over HTTP, on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from steelyard.contestants.embedded.server import ModelServer


_MAX_BODY = 1 << 20
"""Bytes of a request: some hundred times what the longest prompt needs."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8765, show_default=True, help="Port; 0 takes a free one.")
@click.option("--model", "models", multiple=True, help="Serve this model only; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="Say where it listens as one line of JSON.")
def command(host: str, port: int, models: Sequence[str], *, as_json: bool) -> None:
    """Serve the embedded models: OpenAI chat completions and responses, Anthropic messages."""
    # one core: further BLAS threads cost more than they bring on matrices this small (read when NumPy loads)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # lazy: NumPy must load after the line above, and not at all for --help
    from steelyard.contestants.embedded.server import ModelServer

    asyncio.run(_serve(ModelServer(models), host, port, as_json=as_json))


async def _serve(handler: ModelServer, host: str, port: int, *, as_json: bool) -> None:
    # lazy: not for --help
    from steelyard.wire.serve import Server

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(RuntimeError):  # Windows has no signal handlers for a loop
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Server(handler, host=host, port=port, max_body=_MAX_BODY) as server:
        base = f"{server.url}/v1"
        said = json.dumps({"base_url": base, "models": handler.names}) if as_json else None
        click.echo(said or f"serving {', '.join(handler.names)} at {base} (Ctrl-C stops)")
        await stop.wait()
    handler.close()
