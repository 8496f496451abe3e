"""What all commands share in talking: stdout is data, stderr is talk; text of contestants never reaches a terminal raw.

`clean` is the only way by which text that a model wrote may be printed.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import NoReturn, ParamSpec, TextIO, TypeVar, cast

import click

from steelyard.errors import ExitCode, SteelyardError, UsageError
from steelyard.unknown import Unknown, plain

P = ParamSpec("P")
T = TypeVar("T")
_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0xFEFF, 0x2028, 0x2029}


def clean(text: str, limit: int = 0) -> str:
    """Text with control, escape and direction characters made visible, cut to `limit` characters (0: not cut)."""
    if limit and len(text) > limit:
        text = text[: limit - 1] + "…"
    return "".join(
        c if _plain(c) else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}" for c in text
    )


def _plain(c: str) -> bool:
    code = ord(c)
    if c in "\n\t":
        return True
    return not (
        code < 32
        or 127 <= code < 160
        or code in _BIDI
        or 0xD800 <= code < 0xE000
        or 0xE0000 <= code < 0xE0080
    )


class _Cleaned(io.TextIOBase):
    """A terminal that shows control characters instead of obeying them."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        click.echo(clean(text.replace("\r\n", "\n")), nl=False)
        return len(text)


def table_stream() -> TextIO:
    """Where a table of what contestants wrote goes: stdout as it is, but a terminal obeys nothing in it."""
    return cast("TextIO", _Cleaned()) if sys.stdout.isatty() else sys.stdout


def say(text: str) -> None:
    """Talk to the person: stderr."""
    click.echo(text, err=True)


def data(text: str) -> None:
    """Data: stdout."""
    click.echo(text)


def verdict(text: str) -> None:
    """The data of a command whose exit code says more: a reader that has gone (`| head`) does not change the code."""
    try:
        data(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # nothing is left to be flushed when Python ends, which would end with a code of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write(path: Path, text: str) -> None:
    """A report as a file. Raises UsageError where none can be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as e:
        fix = "make its folder first, or name another place"
        raise UsageError("cannot be written", where=str(path), got=e.strerror or str(e), fix=fix) from None


def as_json(value: object) -> str:
    """One JSON document; refuses NaN, which no reader may meet."""
    return json.dumps(plain(value), ensure_ascii=True, allow_nan=False, indent=2)


def emit_json(value: object) -> None:
    """One JSON document on stdout."""
    data(as_json(value))


def leave(code: ExitCode) -> NoReturn:
    """End the command with a documented code."""
    sys.exit(int(code))


JSON = "steelyard.json"
"""Key of a context's `meta`: whether `--json` was asked for anywhere on the command line."""


def fail(error: SteelyardError) -> NoReturn:
    """End the command with an error's text on stderr, with `--json` also as a document on stdout, and its exit code."""
    say(f"error: {clean(str(error))}")
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(JSON):
        named = {k: getattr(error, k, "") for k in ("message", "where", "wanted", "got", "fix")}
        emit_error(
            type(error).__name__, error.exit_code, {**named, "message": named["message"] or str(error)}
        )
    leave(error.exit_code)


def emit_error(kind: str, code: int, fields: Mapping[str, object]) -> None:
    """`{"error": {...}}` on stdout."""
    emit_json({"error": {"kind": kind, "exit_code": int(code), **fields}})


def guarded(function: Callable[P, None]) -> Callable[P, None]:
    """Turn our errors into one message on stderr and their exit code; anything else stays a traceback (code 1)."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except SteelyardError as e:
            fail(e)
        except KeyboardInterrupt:
            say(
                "interrupted: what was recorded is kept, `steelyard show` lists the runs, `steelyard resume` goes on"
            )
            leave(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()
            leave(ExitCode.OK)

    return wrapper


def packed(kind: Callable[..., T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Give a command its options as one frozen object instead of a dozen parameters; guarded like all commands."""

    def decorate(function: Callable[[T], None]) -> Callable[..., None]:
        @wraps(function)
        def wrapper(**options: object) -> None:
            function(kind(**options))

        return guarded(wrapper)

    return decorate


def count(n: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def money(pusd: float | Unknown) -> str:
    """Picodollars for people: two digits below a tenth of a cent, four decimals below a dollar, else cents."""
    return "unknown" if isinstance(pusd, Unknown) else dollars(float(pusd) / 1e12)


def dollars(value: float) -> str:
    """As `money`, of dollars. Never with an exponent."""
    if value == 0:
        return "$0"
    if value < 0.001:
        return f"${float(f'{value:.2g}'):.12f}".rstrip("0")
    return f"${value:.4f}" if value < 1 else f"${value:.2f}"


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
