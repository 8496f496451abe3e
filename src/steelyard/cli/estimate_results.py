"""The subcommands of `steelyard estimate` that read results: a file of any tool, or a run of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from steelyard.cli.common import json_option
from steelyard.cli.figures import show
from steelyard.cli.out import data, emit_json, guarded
from steelyard.cli.source import load, pair, source_options, split_source
from steelyard.cli.verdicts import columns, line, number, short
from steelyard.errors import UsageError
from steelyard.unknown import Unknown

if TYPE_CHECKING:
    from steelyard.decide.lines import Line
    from steelyard.decide.results import Results
    from steelyard.stats.lifecycle import TaskState

F = TypeVar("F", bound=Callable[..., object])
MARK = "A score of at least this passes [default: the greatest score, others refused]."


def _shared(function: F) -> F:
    """SOURCE and how it is read, --contestant, --level, --json."""
    function = json_option(function)
    function = click.option("--level", default=0.95, show_default=True, help="Confidence.")(function)
    name = click.option("--contestant", multiple=True, metavar="NAME", help="Only NAME (may be repeated).")
    return source_options(name(function))


@dataclass(frozen=True, slots=True)
class Asked:
    """What every subcommand is told, and the results that it is about."""

    results: Results
    level: float
    as_json: bool
    own: dict[str, object]

    def show(self, found: tuple[Line, ...]) -> None:
        """Print the lines, with what was assumed about the table."""
        show(found, as_json=self.as_json, notes=self.results.notes)


def _asked(options: dict[str, object], *, amounts: bool = False) -> Asked:
    source, own = split_source(options)
    results = load(source, amounts=amounts)
    names = own.pop("contestant")
    assert isinstance(names, tuple)
    if names:
        results = results.of(names)
    level, as_json = own.pop("level"), own.pop("as_json")
    assert isinstance(level, float)
    return Asked(results, level, bool(as_json), own)


@click.command("scores")
@_shared
@click.option("--method", type=click.Choice(["two-level", "wilson", "clopper-pearson", "jeffreys", "t", "bca"]),
              default="two-level", show_default=True, help="Interval.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="For the bootstrap.")
@guarded
def scores(**options: object) -> None:
    """Each contestant's score: interval, variance between tasks and between trials, bounds where grades lack."""
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.estimates import scores as of

    asked = _asked(options)
    asked.show(of(asked.results, level=asked.level, **asked.own))  # type: ignore[arg-type] # click checked them


@click.command("repeats")
@_shared
@click.option(
    "--k", "ks", multiple=True, type=int, default=(1, 2, 4), show_default=True, help="Trials of a task."
)
@click.option("--pass-at", type=float, default=None, help=MARK)
@guarded
def repeats(**options: object) -> None:
    """pass@k, the chance that one of k trials passes, and pass^k, that all of them do."""
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.estimates import repeats as of

    asked = _asked(options)
    asked.show(of(asked.results, level=asked.level, **asked.own))  # type: ignore[arg-type] # click checked them


@click.command("abstention")
@_shared
@click.option("--pass-at", type=float, default=None, help=MARK)
@guarded
def abstention(**options: object) -> None:
    """Right +1, wrong -1, abstained 0: the index from -100 to +100, and the hallucination rate.

    A table says who abstained in a column `outcome` (passed, failed, abstained).
    """
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.estimates import abstentions

    asked = _asked(options)
    asked.show(abstentions(asked.results, level=asked.level, **asked.own))  # type: ignore[arg-type] # click checked them


@click.command("failures")
@_shared
@click.option("--pass-at", type=float, default=None, help=MARK)
@click.option(
    "--nines", type=int, default=None, help="Clean trials until so many nines [default: the next one]."
)
@click.option("--by", default="", metavar="NAME", help="Pool over the values of this condition.")
@click.option("--share", multiple=True, metavar="VALUE=SHARE", help="With --by: the share of use of VALUE.")
@guarded
def failures(**options: object) -> None:
    """How rarely each contestant fails: at most, how many nines, what the next nine costs, time between failures."""
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.rarely import FailureOptions
    from steelyard.decide.rarely import failures as of

    asked = _asked(options, amounts=True)
    told = asked.own.pop("share")
    assert isinstance(told, tuple)
    shares = {name: _number(value, "--share") for name, value in (pair(s, "--share") for s in told)}
    how = FailureOptions(level=asked.level, shares=shares or None, **asked.own)  # type: ignore[arg-type] # click checked them
    asked.show(of(asked.results, how))


@click.command("suite")
@_shared
@click.option("--hard", default=0.1, show_default=True, help="Below: hard.")
@click.option("--saturating", default=0.8, show_default=True, help="Above: saturating.")
@click.option("--retire", default=0.95, show_default=True, help="Above: to be retired.")
@click.option("--tasks", is_flag=True, help="Every flagged task, too.")
@guarded
def suite(**options: object) -> None:
    """Hard, live, saturating or to be retired; tasks that nobody solves, that tell nobody apart, that are flaky."""
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.series import life
    from steelyard.stats.lifecycle import LifecycleOptions

    asked = _asked(options)
    tasks = asked.own.pop("tasks")
    found = life(asked.results, LifecycleOptions(level=asked.level, **asked.own))  # type: ignore[arg-type] # click checked them
    flagged = [(s, t) for s, t in found.tasks if t.flags]
    if asked.as_json:
        emit_json({"lines": found.lines, "tasks": flagged if tasks else [], "notes": asked.results.notes})
        return
    asked.show(found.lines)
    if tasks:
        data("\n".join(_flagged(flagged)))


def _flagged(tasks: list[tuple[str, TaskState]]) -> list[str]:
    if not tasks:
        return ["no task is flagged"]
    rows = [("task", "flags", "trials", "solved", "discrimination", "interval", "flips", "interval")]
    for name, t in tasks:
        rows.append((
            f"{name}/{t.task}", ", ".join(t.flags), str(t.trials), f"{t.solved:.3f}",
            _cell(t.discrimination), short(t.discrimination_interval), _cell(t.flips), short(t.flips_interval),
        ))  # fmt: skip
    return columns(rows)


def _cell(value: float | Unknown) -> str:
    return "unknown" if isinstance(value, Unknown) else number(value, 3)


@click.command("conditions")
@_shared
@click.option("--by", multiple=True, required=True, metavar="NAME", help="A condition (may be repeated).")
@click.option("--mix", type=click.Path(path_type=Path), default=None, metavar="FILE",
              help="Production: a table with the conditions, a row a request, or with a column share.")  # fmt: skip
@click.option("--thin-below", default=10, show_default=True, help="Fewer tasks than this are thin.")
@guarded
def conditions(**options: object) -> None:
    """The score in every cell of declared conditions, and in the mix that production sees."""
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.series import cells

    asked = _asked(options)
    by, mix, thin = asked.own["by"], asked.own["mix"], asked.own["thin_below"]
    assert isinstance(by, tuple)
    assert isinstance(thin, int)
    given = _mix(mix, by) if isinstance(mix, Path) else None
    _, found = cells(asked.results, by, given, thin)
    asked.show(found)


def _mix(path: Path, by: tuple[str, ...]) -> dict[tuple[object, ...], float]:
    # lazy: numpy is needed only now
    from steelyard.ledger.tables import read_table

    table = read_table(path)
    lacking = [name for name in by if name not in table.columns]
    if lacking:
        raise UsageError(f"--mix: no column {lacking[0]!r}", where=str(path), wanted=", ".join(by),
                         got=", ".join(table.columns))  # fmt: skip
    rows = zip(*([str(x) for x in table.columns[name]] for name in by), strict=True)
    share = table.columns.get("share")
    out: dict[tuple[object, ...], float] = {}
    for i, key in enumerate(rows):
        weight = 1.0 if share is None else _number(str(share[i]), f"{path}: share")
        out[key] = out.get(key, 0.0) + weight
    return out


@click.command("sequence")
@_shared
@click.option("--method", type=click.Choice(["betting", "bernstein", "hoeffding", "beta-binomial"]), default="betting",
              show_default=True, help="Confidence sequence.")  # fmt: skip
@click.option(
    "--null", type=float, default=None, help="Also the evidence (e-value) that the mean is another than this."
)
@click.option("--baseline", default="", metavar="NAME", help="Differences from NAME, paired by task.")
@guarded
def sequence(**options: object) -> None:
    """Intervals that hold however often one looks, over tasks in the order of the table."""
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.series import SequenceOptions
    from steelyard.decide.series import sequence as of

    asked = _asked(options)
    asked.show(of(asked.results, SequenceOptions(level=asked.level, **asked.own)))  # type: ignore[arg-type] # click checked them


@click.command("spend")
@_shared
@click.option("--budget", type=float, required=True, help="Further trials, or money with --price.")
@click.option("--price", multiple=True, metavar="NAME=COST", help="A trial of NAME costs so much.")
@click.option(
    "--baseline", default="", metavar="NAME", help="Narrow the differences from NAME [default: the scores]."
)
@click.option(
    "--most", type=int, default=None, help="At most so many trials of a task and contestant in all."
)
@click.option("--limit", default=20, show_default=True, help="Rows to print.")
@guarded
def spend(**options: object) -> None:
    """Which tasks and contestants further trials should go to: where they narrow the answer most."""
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.series import spend as of

    asked = _asked(options)
    budget, price, limit = asked.own["budget"], asked.own["price"], asked.own["limit"]
    assert isinstance(budget, float)
    assert isinstance(price, tuple)
    assert isinstance(limit, int)
    costs = {name: _number(value, "--price") for name, value in (pair(p, "--price") for p in price)}
    baseline, most = str(asked.own["baseline"]), asked.own["most"]
    found = of(
        asked.results, budget, baseline=baseline, costs=costs, most=most if isinstance(most, int) else None
    )
    if asked.as_json:
        emit_json(found)
        return
    rows = [("contestant", "task", "trials"), *((c, t, str(n)) for c, t, n in found.cells[:limit])]
    data("\n".join(columns(rows)))
    more = len(found.cells) - limit
    if more > 0:
        data(f"and {more} more (--limit)")
    now, after = (str(e) if isinstance(e, Unknown) else f"{e:.6g}" for e in (found.se_before, found.se_after))
    data(line(f"standard error from trial to trial: {now} now, {after} after"))
    data(line(f"cost: {found.cost:g}; method: {found.method}"))


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{where}: not a number", wanted="a number", got=text) from None


SUBCOMMANDS = (scores, repeats, abstention, failures, suite, conditions, sequence, spend)
