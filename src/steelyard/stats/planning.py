"""Tasks x trials: what it takes to know an answer to a half-width, or to detect a difference, at least cost.

Not covered: small samples (normal quantiles; below about 30 tasks add a tenth), sequential designs (they
stop earlier on average and need about twice as much at worst, see `stratified`), and tasks of unequal
weight.

Miller 2024, "Adding Error Bars to Evals", eq. 9: a paired comparison of contestants a and b on n tasks with
K_a and K_b trials each detects a difference d with the wanted power when

    n = (z_{1-alpha/2} + z_{power})^2 (w2 + s2_a / K_a + s2_b / K_b) / d^2

where w2 is the variance over tasks of the difference of true means and s2 the variance of one trial about
its task's mean. For one mean to a half-width h: n = z^2 (w2 + s2 / K) / h^2. A design effect for clusters
multiplies w2. Our additions: the numbers of trials are chosen to cost least when contestants' trials cost
differently, the tasks may be fixed (estimand `tasks`: w2 does not count), and a pilot's own uncertainty is
carried into n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from steelyard.errors import DataError
from steelyard.stats.base import FloatArray, finite, fraction, numbers, same_length, z_quantile
from steelyard.unknown import Unknown, is_known

ASSUMED = Unknown("variances were assumed, not measured")
_ALIKE = 1.01


@dataclass(frozen=True, slots=True)
class Split:
    """Where the variance of an answer comes from.

    `between`: over tasks, of the true mean (one contestant) or of the difference of true means (two); with
    clusters already multiplied by the design effect. `noise`: one entry a contestant, the variance of one
    trial about its task's mean. `units` is how many independent tasks or clusters a pilot had (Unknown:
    assumed values).
    """

    between: float
    noise: tuple[float, ...]
    units: int | Unknown = ASSUMED
    mixed: bool = False

    def __post_init__(self) -> None:
        if not self.noise or any(not math.isfinite(v) or v < 0 for v in (self.between, *self.noise)):
            raise DataError(
                "variances: out of range", wanted="finite and not negative", got=f"{self.between}, {self.noise}",
                fix="give variances of scores: at most 0.25 for pass or fail",
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be known: a `half_width` at `level`, or a `difference` with `power` (exactly one of the
    two).

    `costs` is the price of one trial of each contestant, `task_cost` of preparing one task (0 when tasks
    exist). `max_tasks` and `max_trials` bound the search. `fixed_tasks` asks about exactly so many tasks
    (their differences do not count).
    """

    half_width: float | None = None
    difference: float | None = None
    level: float = 0.95
    power: float = 0.8
    costs: tuple[float, ...] = (1.0,)
    task_cost: float = 0.0
    max_tasks: int = 10_000_000
    max_trials: int = 64
    fixed_tasks: int | None = None

    def __post_init__(self) -> None:
        if (self.half_width is None) == (self.difference is None):
            raise DataError(
                "goal: what is to be known?", wanted="a half_width or a difference, one of the two",
                got="none" if self.difference is None else "both", fix="give one: half_width=0.05",
            )  # fmt: skip
        size = self.size
        if not 0 < size < math.inf:
            name = "difference" if self.half_width is None else "half_width"
            raise DataError(
                f"{name}: out of range",
                wanted="above 0",
                got=str(size),
                fix=f"give a share such as {name} 0.05",
            )
        fraction(self.level, "level")
        fraction(self.power, "power")
        if any(not c >= 0 or not math.isfinite(c) for c in (*self.costs, self.task_cost)):
            raise DataError(
                "costs: out of range", wanted="finite and not negative", got=f"{self.costs}, {self.task_cost}",
                fix="mend the price of a trial (--price) or of a task (--task-cost)",
            )  # fmt: skip

    @property
    def size(self) -> float:
        """The half-width or the difference."""
        return float(self.difference if self.half_width is None else self.half_width)  # type: ignore[arg-type]  # one is set

    @property
    def variance(self) -> float:
        """The variance of the answer that meets the goal."""
        z = z_quantile(self.level)
        if self.half_width is None:
            z += float(special.ndtri(self.power))
        return (self.size / z) ** 2


@dataclass(frozen=True, slots=True)
class Design:
    """A design that meets its goal. `trials` a task for each contestant; `cost` in the unit of the goal's
    costs.

    `tasks_range` are the tasks for variances at the ends of an 80 % interval of the pilot's variance.
    """

    tasks: int
    trials: tuple[int, ...]
    cost: float
    method: str
    tasks_range: tuple[int, int] | Unknown = ASSUMED
    notes: tuple[str, ...] = ()

    @property
    def total_trials(self) -> int:
        """Trials of all contestants in all."""
        return self.tasks * sum(self.trials)


def tasks_needed(split: Split, goal: Goal, trials: tuple[int, ...]) -> int:
    """The number of tasks for given trials a task, rounded up (Miller 2024, eq. 9)."""
    return _ceil(
        (split.between + sum(v / k for v, k in zip(split.noise, trials, strict=True))) / goal.variance
    )


def cheapest(split: Split, goal: Goal) -> Design | Unknown:
    """The tasks and trials that meet the goal at least cost; Unknown, with the reason, when none within the
    bounds does.

    Every combination of trials up to `max_trials` is tried for two contestants (all alike beyond two), so
    that rounding is exact. Ties go to fewer trials a task: more tasks are worth more than repeats. From a pilot, costs
    within 1 % of the least are a tie: its variances are never known as well as that.
    """
    costs = goal.costs if len(goal.costs) == len(split.noise) else goal.costs * len(split.noise)
    if len(costs) != len(split.noise):
        raise DataError(
            "costs", wanted=f"one for each of {len(split.noise)} contestants", got=f"{len(goal.costs)}"
        )
    if is_known(split.units) and split.between == 0.0 and not any(split.noise):
        return Unknown("no two scores of the pilot differ: it cannot say how many tasks are needed")
    if goal.fixed_tasks is not None:
        return _fixed(split, goal, costs)
    grid = _grid(len(split.noise), 1 if split.mixed else goal.max_trials)
    variance = split.between + np.sum(np.array(split.noise) / grid, axis=1)
    tasks = np.maximum(np.ceil(variance / goal.variance * (1.0 - 1e-12)), 1.0)
    cost = tasks * (goal.task_cost + grid @ np.array(costs))
    allowed = tasks <= goal.max_tasks
    if not allowed.any():
        return Unknown(
            f"{goal.max_tasks} tasks are too few however many trials they get: "
            f"{_ceil(split.between / goal.variance)} or more tasks are needed"
        )
    cost = np.where(allowed, cost, np.inf)
    near = cost <= float(cost.min()) * (_ALIKE if is_known(split.units) else 1.0)
    # ties: fewer trials a task in all
    best = int(np.lexsort((cost, np.where(near, grid.sum(axis=1), np.inf)))[0])
    trials = tuple(int(k) for k in grid[best])
    design = Design(int(tasks[best]), trials, float(cost[best]), _method(goal))
    return replace(design, tasks_range=_range(split, goal, trials), notes=_notes(split))


def detectable(
    split: Split, tasks: int, trials: tuple[int, ...], *, level: float = 0.95, power: float = 0.8
) -> float:
    """The smallest difference that a design detects with `power` (the goal's formula solved for d)."""
    z = z_quantile(level) + float(special.ndtri(fraction(power, "power")))
    return z * _standard_error(split, tasks, trials)


def expected_half_width(split: Split, tasks: int, trials: tuple[int, ...], *, level: float = 0.95) -> float:
    """The half-width that a design is expected to reach."""
    return z_quantile(level) * _standard_error(split, tasks, trials)


def rate_split(rate: float, *, within_share: float = 0.5) -> Split:
    """A guess without a pilot: pass/fail trials of this rate, `within_share` of p(1-p) from trial to
    trial."""
    if not 0 <= rate <= 1 or not 0 <= within_share <= 1:
        name, got = ("rate", rate) if not 0 <= rate <= 1 else ("within_share", within_share)
        raise DataError(
            f"{name}: out of range", wanted="0 to 1", got=f"{got}", fix=f"give a share such as {name} 0.7"
        )
    total = rate * (1.0 - rate)
    return Split((1.0 - within_share) * total, (within_share * total,))


def pilot_mean(means: ArrayLike, trials: ArrayLike, noise: ArrayLike) -> Split:
    """The split of one contestant from a pilot's arrays over tasks: mean, trials, and variance of the trials.

    `noise` is each task's sample variance of its trials (ddof 1), NaN where it has one trial. Without any
    task that has two trials the two parts cannot be told apart: the split is `mixed`.
    """
    return _pilot(finite(means, "means"), [(trials, noise)])


def pilot_difference(
    difference: ArrayLike, trials: tuple[ArrayLike, ArrayLike], noise: tuple[ArrayLike, ArrayLike]
) -> Split:
    """As `pilot_mean` for two contestants on the same tasks: `difference` of means, and each one's trials
    and variances."""
    return _pilot(finite(difference, "difference"), list(zip(trials, noise, strict=True)))


def _pilot(column: FloatArray, parts: list[tuple[ArrayLike, ArrayLike]]) -> Split:
    spread, shares, noises = _spread(column), 0.0, []
    for trials, noise in parts:
        k, v = finite(trials, "trials"), numbers(noise, "noise")
        same_length(column.size, [("trials", k.size), ("noise", v.size)])
        known = np.isfinite(v) & (k >= 2)
        if not known.any():
            return Split(spread, (0.0,) * len(parts), column.size, mixed=True)
        # a task with one trial takes the others' mean noise
        noises.append(float(v[known].mean()))
        shares += float(np.mean(np.where(known, v, noises[-1]) / k))
    return Split(max(spread - shares, 0.0), tuple(noises), column.size)


def _spread(column: FloatArray) -> float:
    if column.size < 2:
        raise DataError("the pilot has one task", wanted="two tasks or more", got="1", fix="add tasks")
    return float(column.var(ddof=1))


def _fixed(split: Split, goal: Goal, costs: tuple[float, ...]) -> Design | Unknown:
    """Trials for exactly these tasks: only the noise counts."""
    n = goal.fixed_tasks
    assert n is not None
    if n < 1:
        raise DataError(
            "fixed_tasks: out of range", wanted="one or more", got=str(n), fix="give the number of tasks"
        )
    if split.mixed:
        return Unknown("the pilot has one trial a task: how much trials differ is not known")
    grid = _grid(len(split.noise), goal.max_trials)
    variance = np.sum(np.array(split.noise) / grid, axis=1) / n
    cost = np.where(
        variance <= goal.variance * (1 + 1e-12), n * (goal.task_cost + grid @ np.array(costs)), np.inf
    )
    if not np.isfinite(cost).any():
        return Unknown(f"{goal.max_trials} trials of each of {n} tasks are too few")
    best = int(np.lexsort((grid.sum(axis=1), cost))[0])
    trials = tuple(int(k) for k in grid[best])
    return Design(n, trials, float(cost[best]), _method(goal) + ", these tasks", notes=_notes(split))


def _grid(contestants: int, most: int) -> FloatArray:
    if most < 1:
        raise DataError(
            "max_trials: out of range", wanted="one or more", got=str(most), fix="give 1 or more, such as 8"
        )
    k = np.arange(1, most + 1, dtype=np.float64)
    if contestants == 2:
        a, b = np.meshgrid(k, k, indexing="ij")
        return np.stack([a.ravel(), b.ravel()], axis=1)
    return np.repeat(k[:, None], contestants, axis=1)


def _range(split: Split, goal: Goal, trials: tuple[int, ...]) -> tuple[int, int] | Unknown:
    if isinstance(split.units, Unknown):
        return split.units
    if split.units < 3:
        return Unknown("fewer than three tasks in the pilot")
    df = split.units - 1
    n = tasks_needed(split, goal, trials)
    # the sample variance of df + 1 units, chi-squared: 80 % interval of the true one
    ends = [df / float(special.chdtri(df, q)) for q in (0.1, 0.9)]
    return max(1, _ceil(n * min(ends))), _ceil(n * max(ends))


def _method(goal: Goal) -> str:
    if goal.half_width is not None:
        return f"normal half-width at level {goal.level:g}"
    return f"normal power {goal.power:g} at level {goal.level:g} (Miller 2024, eq. 9)"


def _notes(split: Split) -> tuple[str, ...]:
    notes = []
    if is_known(split.units) and split.units < 30:
        notes.append(
            f"the pilot has {split.units} independent tasks: the plan is as rough as its range shows"
        )
    if split.mixed:
        notes.append("the pilot has one trial a task: whether repeats would be cheaper cannot be told")
    return tuple(notes)


def _standard_error(split: Split, tasks: int, trials: tuple[int, ...]) -> float:
    if tasks < 1 or len(trials) != len(split.noise) or min(trials) < 1:
        raise DataError(
            "design",
            wanted=f"tasks >= 1 and {len(split.noise)} numbers of trials >= 1",
            got=f"{tasks}, {trials}",
        )
    variance = split.between + sum(v / k for v, k in zip(split.noise, trials, strict=True))
    return math.sqrt(variance / tasks)


def _ceil(x: float) -> int:
    # 969.0000000001 is 969: a rounding error must not cost a task
    return max(1, math.ceil(x * (1.0 - 1e-12)))
