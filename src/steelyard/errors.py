"""Every error that Steelyard raises on purpose, and who is to blame for a trial that ended badly.

The tree is the catalogue::

    SteelyardError
    ├── UserError            what the user gave is wrong; the message names the thing, wanted, got, next step
    │   ├── PlanError        a plan file, or a value in it
    │   ├── DataError        a suite, a results table, an imported file (file, line or path in the message)
    │   │   └── RowsError    rows of a table are wrong; `rows` holds their positions
    │   └── UsageError       a command line
    ├── LedgerError          the ledger cannot be read or written
    │   ├── LedgerBusy       another writer holds this run; nothing was written
    │   ├── LedgerFull       no space left; everything before it is safe
    │   └── LedgerCorrupt    a row is altered, missing, cut or out of order
    ├── SandboxError         isolation that was asked for is not there, or broke
    └── Fault                one attempt ended without a measurement; carries its `EndedBy`

A bad trial is data, not a crash: `Fault` is raised at a boundary (wire, sandbox, scorer), caught once by
the runner, and written to the ledger. All others end the command with the exit code in `ExitCode`.
"""

from __future__ import annotations

import enum

_HARMLESS = {
    **{c: f"\\x{c:02x}" for c in (*range(0x20), *range(0x7F, 0xA0)) if chr(c) not in "\n\t"},
    **{c: f"\\u{c:04x}" for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}
"""Errors repeat what files hold: control characters in it must not reach a terminal as such."""


class EndedBy(enum.StrEnum):
    """Who ended an attempt. Only `contestant`, `budget` and `refusal` are measurements."""

    CONTESTANT = "contestant"
    BUDGET = "budget"
    REFUSAL = "refusal"
    PROVIDER = "provider"
    SANDBOX = "sandbox"
    GRADER = "grader"
    OPERATOR = "operator"
    US = "us"

    @property
    def is_measurement(self) -> bool:
        """True when what came back says something about the contestant."""
        return self in (EndedBy.CONTESTANT, EndedBy.BUDGET, EndedBy.REFUSAL)


class ExitCode(enum.IntEnum):
    """Exit codes of every command. A traceback exits with Python's 1, which no verdict uses."""

    OK = 0
    CRASH = 1
    USAGE = 2
    BAD_INPUT = 3
    LEDGER = 4
    INCOMPLETE = 5
    CAPPED = 6
    INFRASTRUCTURE = 7
    REGRESSION = 10
    UNDECIDED = 11
    BELOW_COVERAGE = 12
    TAMPERED = 13
    INTERRUPTED = 130


class SteelyardError(Exception):
    """The root. `exit_code` is what the command line returns when nothing else handles it."""

    exit_code: ExitCode = ExitCode.CRASH


class UserError(SteelyardError):
    """Something the user gave is wrong.

    `where` is a file, file:line or path inside a document; `wanted`, `got` and `fix` complete the message.
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(
        self, message: str, *, where: str = "", wanted: str = "", got: str = "", fix: str = ""
    ) -> None:
        self.message, self.where, self.wanted, self.got, self.fix = message, where, wanted, got, fix
        super().__init__(self._whole())

    def _whole(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        tail = [f"  {k}: {v}" for k in ("wanted", "got", "fix") if (v := getattr(self, k))]
        return "\n".join([head, *tail]).translate(_HARMLESS)

    def place(self, where: str) -> None:
        """Say where in the user's file this stands, when the error was raised where nobody knew."""
        if where and not self.where.startswith(where.partition(":")[0] + ":"):
            self.where = f"{where}: {self.where}" if self.where else where
            self.args = (self._whole(),)


class PlanError(UserError):
    """A plan file, or a value in it, is wrong."""


class DataError(UserError):
    """A suite, a results table or an imported file is wrong."""


class RowsError(DataError):
    """Rows of a table are wrong. `rows` holds every position, counted from 0; the message names a few."""

    def __init__(
        self, message: str, *, rows: tuple[int, ...], wanted: str = "", got: str = "", fix: str = ""
    ) -> None:
        self.rows = rows
        shown = ", ".join(str(r) for r in rows[:5]) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
        label = "row" if len(rows) == 1 else "rows"
        super().__init__(f"{message} ({label} {shown}, counted from 0)", wanted=wanted, got=got, fix=fix)


class UsageError(UserError):
    """A command line is wrong."""

    exit_code = ExitCode.USAGE


class LedgerError(SteelyardError):
    """The ledger cannot be read or written."""

    exit_code = ExitCode.LEDGER


class LedgerBusy(LedgerError):
    """Another writer holds this run; nothing was written."""


class LedgerFull(LedgerError):
    """No space is left on the device; everything acknowledged before is safe."""


class LedgerCorrupt(LedgerError):
    """A row is altered, missing, cut or out of order."""

    exit_code = ExitCode.TAMPERED


class SandboxError(SteelyardError):
    """Isolation that was asked for is not there, or broke."""

    exit_code = ExitCode.INFRASTRUCTURE


class Fault(SteelyardError):
    """One attempt ended without a normal reply.

    `ended_by` says who ended it, `kind` is a stable short name from the table of its boundary,
    `retryable` whether the same request may be sent again, `retry_after` seconds asked for by the other
    side, and `paid` whether the attempt may have been billed (None: unknown). The message never holds a
    credential. `trace` is what an agent had done until then (JSON bytes, as `Answer.trace`).
    """

    def __init__(
        self,
        message: str,
        *,
        ended_by: EndedBy,
        kind: str,
        retryable: bool = False,
        retry_after: float | None = None,
        paid: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.ended_by, self.kind, self.retryable = ended_by, kind, retryable
        self.retry_after, self.paid = retry_after, paid
        self.trace = b""
