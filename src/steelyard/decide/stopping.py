"""`trials: {until: 0.02, at_most: 20, estimand: tasks}`: repeat until the interval is narrow enough.

Not covered: a money cap (the runner's), comparisons between contestants (each contestant's interval holds
at the stated confidence by itself), and results whose *time of arrival* decides what is looked at: a round
is judged only when all its trials are back, because slow trials are not like fast ones.

`Stopper` holds counts and sums per (contestant, task) and a few dozen numbers a contestant. It proposes
rounds, takes their scores, and says who is done and why. Everything is a function of the rule, the seed and
the scores, so that a run that was killed is resumed by feeding the same proposals and the recorded scores
again.

Two estimands. `tasks`: the weighted mean over exactly these tasks; rounds spend fewer trials on tasks whose
answer is settled, and the interval (`stats.stratified`) stays valid under that and under optional stopping.
`population`: the mean over all tasks like these; every task gets equally many trials, looks are few and
share the error rate, and the rule stops early when the tasks differ so much that more trials cannot help.

After adaptive spending the plain mean of all trials is biased, because tasks that looked settled early got
fewer trials. `Progress.estimate` is not; use it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from steelyard.decide.until import Batch, Estimand, Progress, Reason, Until, looks
from steelyard.errors import DataError
from steelyard.stats import stratified
from steelyard.stats.base import BoolArray, FloatArray, IntArray, Interval
from steelyard.unknown import Unknown

TASKS_METHOD = "stratified betting confidence sequence"
POPULATION_METHOD = "betting interval over independent tasks, error rate shared by the looks"


class Stopper:
    """The streaming rule for one suite: `propose`, run, `observe`, until `done`.

    contestants: how many (C); tasks: how many (I). weights: (I,) positive, by default equal; they keep
    their meaning whatever is spent. clusters: (I,) labels, used by the population estimand: the independent
    units. Scores are in [0, 1].
    """

    def __init__(
        self,
        rule: Until,
        contestants: int,
        tasks: int,
        *,
        weights: ArrayLike | None = None,
        clusters: ArrayLike | None = None,
        seed: int = 0,
    ) -> None:
        if contestants < 1 or tasks < 1:
            raise DataError(
                "nothing to run",
                wanted="at least one contestant and one task",
                got=f"{contestants} x {tasks}",
            )
        self.rule, self.seed = rule, seed
        self.weights = _weights(weights, tasks)
        self.clusters = _clusters(clusters, tasks)
        shape = (contestants, tasks)
        self.spent = np.zeros(shape, dtype=np.int32)
        self.graded = np.zeros(shape, dtype=np.int32)
        self.total = np.zeros(shape)
        self.squares = np.zeros(shape)
        self._order = [np.random.default_rng((seed, c)).permutation(tasks) for c in range(contestants)]
        self._capital = [stratified.Capital() for _ in range(contestants)]
        self._open: list[_Open | None] = [None] * contestants
        self._rounds = np.zeros(contestants, dtype=np.int64)
        self._scale = np.ones(contestants)
        self._centre: list[float | Unknown] = [Unknown("no trial is back")] * contestants
        self._reason = [Reason.RUNNING] * contestants

    @property
    def done(self) -> bool:
        """True when no contestant needs another trial."""
        return all(r is not Reason.RUNNING for r in self._reason)

    def finished(self, contestant: int) -> bool:
        """True when this contestant needs no other trial; cheaper than `progress`."""
        return self._reason[contestant] is not Reason.RUNNING

    @property
    def alpha(self) -> float:
        """Error rate of each contestant's interval."""
        return 1.0 - self.rule.level

    def propose(self) -> Batch:
        """Open the next round of every contestant that needs one and has none open; may be empty."""
        parts = [
            self._propose_one(c)
            for c, (reason, opened) in enumerate(zip(self._reason, self._open, strict=True))
            if reason is Reason.RUNNING and opened is None
        ]
        if not parts:
            none = np.zeros(0, dtype=np.int64)
            return Batch(none, none, none)
        return Batch(*(np.concatenate([p[k] for p in parts]) for k in range(3)))

    def observe(
        self, contestant: ArrayLike, task: ArrayLike, score: ArrayLike, ungraded: ArrayLike | None = None
    ) -> None:
        """Take results of proposed cells, in any order and any portions; one entry a trial.

        `ungraded` marks trials that were parked without a score (their `score` is ignored): the interval then
        covers both "all wrong" and "all right". A contestant's round is judged when its last trial is in.
        """
        c, i = np.atleast_1d(np.asarray(contestant)), np.atleast_1d(np.asarray(task))
        x = np.atleast_1d(np.asarray(score, dtype=np.float64))
        lost = np.broadcast_to(np.asarray(False if ungraded is None else ungraded, dtype=np.bool_), x.shape)
        if not c.shape == i.shape == x.shape:
            raise DataError("observe: arrays of different lengths", got=f"{c.shape} {i.shape} {x.shape}")
        for one, task_index, value, none in zip(
            c.tolist(), i.tolist(), x.tolist(), lost.tolist(), strict=True
        ):
            self.observe_one(one, task_index, None if none else value)

    def observe_one(self, contestant: int, task: int, score: float | None) -> None:
        """Take one result, None when it is ungraded; a few microseconds, however many tasks there are."""
        c, i = contestant, task
        if score is not None and not 0.0 <= score <= 1.0:
            raise DataError(
                f"score of contestant {c}, task {i}",
                wanted="a number from 0 to 1, or ungraded",
                got=str(score),
                fix="rescale the scorer's value, or mark the trial as ungraded",
            )
        opened = self._open[c] if 0 <= c < len(self._open) else None
        if opened is None or not 0 <= i < self.weights.size or opened.waiting[i] <= 0:
            raise DataError(
                f"contestant {c}, task {i}: a result that was not proposed, or came twice",
                wanted="one result for each cell of the last proposal",
                fix="on resume, build a new Stopper and feed the recorded scores proposal by proposal",
            )
        opened.waiting[i] -= 1
        opened.left -= 1
        if score is None:
            opened.lost[i] += 1
        else:
            opened.score[i] += score
            self.graded[c, i] += 1
            self.total[c, i] += score
            self.squares[c, i] += score * score
        if opened.left == 0:
            self._close(c)

    def progress(self, contestant: int) -> Progress:
        """Interval, estimate and reason of one contestant now; cheap, any time."""
        capital, reason = self._capital[contestant], self._reason[contestant]
        lost = int(self.spent[contestant].sum() - self.graded[contestant].sum())
        at_cap = self._at_cap(contestant)
        opened = self._open[contestant]
        waiting = 0 if opened is None else opened.left
        method = TASKS_METHOD if self.rule.estimand is Estimand.TASKS else POPULATION_METHOD
        return Progress(
            contestant=contestant,
            done=reason is not Reason.RUNNING,
            reason=reason,
            sentence=self._sentence(contestant, reason, at_cap),
            estimate=self._centre[contestant],
            interval=Interval(capital.low, capital.high, self.rule.level, method),
            rounds=int(self._rounds[contestant]),
            trials=int(self.spent[contestant].sum()) - waiting,
            ungraded=lost - waiting,
            at_cap=at_cap,
        )

    # ---- one contestant ----

    def _propose_one(self, c: int) -> tuple[IntArray, IntArray, IntArray]:
        prediction = self._predict(c)
        tasks = self.weights.size
        repeats = 1
        include = np.ones(tasks)
        if self.rule.estimand is Estimand.POPULATION:
            done = int(self._rounds[c])
            repeats = next(k for k in looks(self.rule) if k > done) - done
        elif self._rounds[c] >= self.rule.at_least:
            include = self._inclusion(c, prediction)
        drawn = np.random.default_rng((self.seed, c, int(self._rounds[c]))).random(tasks) < include
        # bets are fixed here: the variance that is expected of this round's estimate
        variance = float(np.sum(self.weights**2 * prediction.square / include))
        self._open[c] = _Open(prediction.mean, include, drawn, repeats, max(variance, 1e-12), drawn * repeats)
        cells = np.repeat(np.flatnonzero(drawn), repeats)
        trial = self.spent[c][cells] + np.tile(np.arange(repeats), int(drawn.sum()))
        self.spent[c][drawn] += repeats
        if not drawn.any():
            self._close(c)
        return np.full(cells.size, c), cells, trial.astype(np.int64)

    def _close(self, c: int) -> None:
        opened = self._open[c]
        assert opened is not None
        self._open[c] = None
        self._rounds[c] += opened.repeats
        if self.rule.estimand is Estimand.TASKS:
            self._close_tasks(c, opened)
        else:
            self._close_population(c)
        self._reason[c] = self._judge(c)

    def _close_tasks(self, c: int, opened: _Open) -> None:
        drawn = opened.drawn
        low, high = opened.score, opened.score + opened.lost
        predicted = opened.predicted
        if self._rounds[c] == 1:
            # no task has a past yet: predict each by the running mean of those before it in a shuffled order
            predicted = stratified.running_mean(0.5 * (low + high), self.weights, self._order[c])
        scale = self.weights[drawn] / opened.include[drawn]
        closed = stratified.Round(
            low=low[drawn],
            high=high[drawn],
            scale=scale,
            predicted=predicted[drawn],
            offset=float(self.weights @ predicted),
            variance=opened.variance,
            largest_scale=float((self.weights / opened.include).max()),
        )
        stratified.add_round(self._capital[c], closed, self.rule.half_width, self.alpha)
        self._centre[c] = self._capital[c].estimate
        seen = float(np.sum(scale**2 * (0.5 * (low + high)[drawn] - predicted[drawn]) ** 2))
        # graded scores vary less than p(1-p): learn by how much, slowly enough that one round cannot mislead
        expected = float(np.sum(scale**2 * (predicted * (1.0 - predicted))[drawn])) * self._scale[c]
        ratio = (seen + 0.2 * expected) / (1.2 * max(expected, 1e-12))
        self._scale[c] = float(np.clip(self._scale[c] * ratio, 0.01, 2.0))

    def _close_population(self, c: int) -> None:
        done = int(self._rounds[c])
        lost = done - self.graded[c]
        low, high = self.total[c] / done, (self.total[c] + lost) / done
        w = np.bincount(self.clusters, weights=self.weights).astype(np.float64)
        units: list[FloatArray] = [
            np.bincount(self.clusters, weights=self.weights * m) / w for m in (low, high)
        ]
        alpha = self.alpha / len(looks(self.rule))
        ends = [stratified.fixed_interval(u, w, alpha, self.seed) for u in units]
        capital = self._capital[c]
        new_low, new_high = max(capital.low, ends[0][0]), min(capital.high, ends[1][1])
        if new_low <= new_high:
            capital.low, capital.high = new_low, new_high
        centre = float(self.weights @ (0.5 * (low + high)))
        self._centre[c] = float(np.clip(centre, capital.low, capital.high))

    def _judge(self, c: int) -> Reason:
        capital, rule = self._capital[c], self.rule
        if self._rounds[c] < rule.at_least:
            return Reason.RUNNING
        if 0.5 * (capital.high - capital.low) <= rule.half_width:
            return Reason.REACHED
        if self._rounds[c] >= rule.at_most:
            return Reason.UNGRADED if self._ungraded_half(c) > rule.half_width else Reason.CAP
        if self._ungraded_half(c) > 2 * rule.half_width:
            return Reason.UNGRADED
        at_cap = self._at_cap(c)
        # a tenth of slack: the projection is an estimate, and a trial is cheaper than a wrong "cannot"
        if (
            rule.estimand is Estimand.POPULATION
            and not isinstance(at_cap, Unknown)
            and at_cap > 1.1 * rule.half_width
        ):
            return Reason.POPULATION
        return Reason.RUNNING

    def _ungraded_half(self, c: int) -> float:
        """Half of the weight that ungraded trials leave open, however many more trials are run alike."""
        spent = np.maximum(self.spent[c], 1)
        return 0.5 * float(self.weights @ ((self.spent[c] - self.graded[c]) / spent))

    def _predict(self, c: int) -> _Prediction:
        """Expected score of the next trial of each task and its expected squared error."""
        n, s = self.graded[c].astype(np.float64), self.total[c]
        if not n.any():
            return _Prediction(np.full(n.size, 0.5), np.full(n.size, 0.25))
        split = stratified.variance_split(n, s, self.squares[c])
        mean = (s.sum() + 0.5) / (n.sum() + 1.0)
        predicted = (s + split.shrink * mean) / (n + split.shrink)
        square = predicted * (1.0 - predicted) * self._scale[c]
        return _Prediction(predicted, np.maximum(square, 1e-5))

    def _inclusion(self, c: int, prediction: _Prediction) -> FloatArray:
        capital, rule = self._capital[c], self.rule
        half = 0.5 * (capital.high - capital.low)
        if half >= 0.5 or capital.information == 0.0:
            return np.ones(self.weights.size)
        # the half-width falls as 1/sqrt(information): how much more of it is missing
        missing = capital.information * max((half / rule.half_width) ** 2 - 1.0, 0.01)
        rounds_left = rule.at_most - int(self._rounds[c])
        root = self.weights * np.sqrt(prediction.square)
        efficient = float(np.sum(root**2 / np.clip(root / np.quantile(root, 0.8), 0.1, 1.0)))
        # not so wide that the cap comes first, not so narrow that this round overshoots, else what is efficient
        needed = min(max(efficient, 0.9 / missing), 0.8 * rounds_left / missing)
        # a bet may risk at most a part of the capital on one trial: rare inclusion must not make it too large
        floor = np.clip(2.0 * rule.half_width * self.weights / max(needed, 1e-12), 0.1, 1.0)
        return stratified.inclusion(self.weights, prediction.square, needed, floor)

    def _at_cap(self, c: int) -> float | Unknown:
        """Half-width to expect at `at_most` trials a cell."""
        done = int(self._rounds[c])
        if done == 0:
            return Unknown("no trial is back")
        half = 0.5 * (self._capital[c].high - self._capital[c].low)
        if done >= self.rule.at_most:
            return half
        if half >= 0.5:
            return Unknown("the interval is still the whole range")
        if self.rule.estimand is Estimand.TASKS:
            left = (self.rule.at_most - done) / float(np.sum(self.weights**2 * self._predict(c).square))
            information = self._capital[c].information
            return half * float(np.sqrt(information / (information + left)))
        if done < 2:
            return Unknown("one trial a task cannot tell the tasks' variance from the trials'")
        split = stratified.variance_split(self.graded[c].astype(np.float64), self.total[c], self.squares[c])
        now = split.between + split.within / done
        return half * float(np.sqrt((split.between + split.within / self.rule.at_most) / max(now, 1e-12)))

    def _sentence(self, c: int, reason: Reason, at_cap: float | Unknown) -> str:
        half = 0.5 * (self._capital[c].high - self._capital[c].low)
        want, cap = self.rule.half_width, self.rule.at_most
        if reason is Reason.RUNNING:
            return f"half-width {half:.3f}, wanted {want:g}"
        if reason is Reason.REACHED:
            return f"half-width {half:.4f} reached the {want:g} that was wanted"
        if reason is Reason.CAP:
            return f"at_most {cap} trials a task reached at half-width {half:.3f}: raise at_most or add tasks"
        if reason is Reason.UNGRADED:
            share = 2 * self._ungraded_half(c)
            return f"{share:.1%} of the weight is ungraded and keeps the interval open: mend what fails, then resume"
        units = int(self.clusters.max()) + 1
        floor = at_cap if not isinstance(at_cap, Unknown) else half
        more = int(np.ceil(units * ((floor / want) ** 2 - 1)))
        return (
            f"the tasks differ: even {cap} trials each would leave a half-width of about {floor:.3f}; "
            f"add about {max(more, 1)} independent tasks, or ask about these tasks (estimand: tasks)"
        )


@dataclass(slots=True)
class _Prediction:
    mean: FloatArray
    square: FloatArray


class _Open:
    """A round whose trials are under way."""

    def __init__(
        self,
        predicted: FloatArray,
        include: FloatArray,
        drawn: BoolArray,
        repeats: int,
        variance: float,
        waiting: IntArray,
    ) -> None:
        self.predicted, self.include, self.drawn = predicted, include, drawn
        self.repeats, self.variance, self.waiting = repeats, variance, waiting
        self.left = int(waiting.sum())
        self.score = np.zeros(predicted.size)
        self.lost = np.zeros(predicted.size)


def _weights(weights: ArrayLike | None, tasks: int) -> FloatArray:
    if weights is None:
        return np.full(tasks, 1.0 / tasks)
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (tasks,) or not np.all(np.isfinite(w)) or not np.all(w > 0):
        raise DataError("task weights", wanted=f"{tasks} positive numbers", got=f"shape {w.shape}")
    normed: FloatArray = w / w.sum()
    return normed


def _clusters(clusters: ArrayLike | None, tasks: int) -> IntArray:
    if clusters is None:
        return np.arange(tasks)
    labels = np.asarray(clusters)
    if labels.shape != (tasks,):
        raise DataError(
            "clusters", wanted=f"one label for each of {tasks} tasks", got=f"shape {labels.shape}"
        )
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
