"""The executor that runs attempts in this process, on its event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steelyard.contestants.base import Answer, Ask, Contestant, Purse, Worker
from steelyard.contestants.build import build
from steelyard.contestants.harness.approve import Approver, Asks
from steelyard.errors import UserError
from steelyard.schema.contestant import ContestantSpec

PATIENCE_S = 86_400.0
"""How long a trial may wait for an operator, in all."""


class LocalExecutor:
    """Contestants live here. `environ` is where credentials are looked up, by the names that specs give; `approver` is
    asked where a contestant's rules or plans say so, None in a run that nobody watches; `where` says for errors where
    `contestant:NAME` stands in a file."""

    def __init__(
        self,
        environ: Mapping[str, str],
        approver: Approver | None = None,
        where: Mapping[str, str] | None = None,
    ) -> None:
        self._environ, self._approver, self._where = environ, approver, where or {}
        self._live: list[Contestant] = []

    @property
    def patience(self) -> float:
        """Seconds that an attempt may take beyond its own because people are asked."""
        return 0.0 if self._approver is None else PATIENCE_S

    async def start(self, specs: Sequence[ContestantSpec]) -> None:
        """Open every contestant; those opened are closed again when one fails."""
        for spec in specs:
            try:
                contestant = build(spec, self._environ)
                if isinstance(contestant, Asks):
                    contestant.approver = self._approver
                self._live.append(contestant)
                await contestant.open()
            except UserError as e:
                e.place(self._where.get(f"contestant:{spec.name}", ""))
                raise

    async def answer(self, c: int, ask: Ask) -> Answer:
        """One attempt of contestant `c`. Raises Fault."""
        return await self._live[c].answer(ask)

    async def work(self, c: int, ask: Ask, purse: Purse) -> Answer:
        """One attempt of the agent `c`, paid from `purse`. Raises Fault."""
        live = self._live[c]
        if not isinstance(live, Worker):
            return await live.answer(ask)
        return await live.work(ask, purse)

    async def stop(self) -> None:
        """Close every contestant."""
        live, self._live = self._live, []
        for contestant in live:
            await contestant.aclose()
