"""A judge beside people: agreement, what may be claimed, bias, and the score that people would have given.

Not covered: labels that a model made (refused), and labelled rows that were chosen by the judge's score, which no
number shows. Rows are columns by role: judge, human (empty where nobody labelled), contestant, cluster, labels_by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from steelyard.decide.cells import Column, numbers
from steelyard.decide.lines import Line, line_of, plain_line
from steelyard.decide.results import nearest
from steelyard.decide.roles import groups, rows_of, texts, whole
from steelyard.errors import DataError, RowsError
from steelyard.stats.agreement import cohen_kappa, confusion
from steelyard.stats.alpha import krippendorff_alpha
from steelyard.stats.base import BoolArray, Estimate, FloatArray, IntArray, codes
from steelyard.stats.clusters import clustered_mean, clustered_rate
from steelyard.stats.judge import LabelSource, calibrate, require_people, self_preference
from steelyard.stats.ppi import Clusters, PpiOptions, classical_mean, ppi_mean, rogan_gladen
from steelyard.unknown import Unknown

COUNT = "count"
"""The method of a figure that is a whole number of rows."""

_FAILED = "leave these rows out if the judge failed at random, or write the score that a failure counts as"
_MOST_LABELS = 50
_MOST_GRADES = 20
_MOST_TABLE = 12


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """How a judge is held against people.

    labels_by: who made the labels (`LabelSource`), where no labels_by column says. own: contestants of the judge's own
    model. positive: this label counts as 1 and every other as 0. large_sample: the interval of PPI's authors.
    """

    labels_by: str = LabelSource.UNSTATED
    own: tuple[str, ...] = ()
    positive: str = ""
    wanted_kappa: float = 0.6
    level: float = 0.95
    large_sample: bool = False


@dataclass(frozen=True, slots=True)
class _Judged:
    """`at` are the labelled rows and `labels` the judge's and people's cells there, None for scores that are no grades.

    `scores` are the judge's and people's, people's only at `at`, None for labels that are no numbers; `clusters` are
    None where rows are apart.
    """

    at: IntArray
    labels: tuple[list[str], list[str]] | None
    scores: tuple[FloatArray, FloatArray] | None
    clusters: IntArray | None

    def part(self, index: IntArray) -> IntArray | None:
        """The clusters of these rows."""
        return None if self.clusters is None else self.clusters[index]

    @property
    def binary(self) -> bool:
        """Whether judge and people say 0 or 1."""
        return self.scores is not None and _binary(self.scores[0]) and _binary(self.scores[1][self.at])


def judge_lines(columns: Mapping[str, Column], how: JudgeOptions) -> tuple[Line, ...]:
    """Agreement, bias and corrected means of a judge, then of each contestant.

    Raises `ModelMadeLabels`, naming rows, unless people or programs are said to have made the labels; RowsError for a
    row that the judge did not score; DataError where judge and people do not speak of the same thing.
    """
    x = _read(columns, how)
    said = texts(columns["labels_by"]) if "labels_by" in columns else [how.labels_by] * len(columns["human"])
    with rows_of(x.at):
        sources = _sources([said[i] or LabelSource.UNSTATED for i in x.at])
        require_people(sources, x.at.size)
    out = [
        *_agreement(x, sources, how),
        *_bias(x, how),
        *_means("judge", np.arange(len(columns["judge"])), x, how),
    ]
    if "contestant" in columns:
        who = whole(columns["contestant"], "contestant")
        each = groups(who)
        if len(each) > 1:
            for name, index in each.items():
                out += _means(name, index, x, how)
        out += _own(who, list(each), x, how)
    elif how.own:
        raise DataError("--own needs a contestant column", fix="name it with --column contestant=NAME")
    return tuple(out)


def _sources(words: Sequence[str]) -> list[LabelSource]:
    bad = tuple(i for i, w in enumerate(words) if w not in tuple(LabelSource))
    if bad:
        raise RowsError("labels_by: unknown", rows=bad, wanted=", ".join(LabelSource), got=words[bad[0]])
    return [LabelSource(w) for w in words]


def _read(columns: Mapping[str, Column], how: JudgeOptions) -> _Judged:
    judge = whole(columns["judge"], "judge", _FAILED)
    human = texts(columns["human"])
    at = _labelled(np.array([t is not None for t in human]))
    clusters = None
    if "cluster" in columns:
        coded = codes(whole(columns["cluster"], "cluster"), "cluster")
        clusters = coded.index if coded.size < coded.index.size else None
    cells = [judge[i] for i in at], [str(human[i]) for i in at]
    if how.positive:
        _known(how.positive, [*judge, *cells[1]])
        one, two = (np.array([t == how.positive for t in c], np.float64) for c in (judge, human))
        return _Judged(at, (_same(one[at]), _same(two[at])), (one, two), clusters)
    found = _scores(columns)
    if found is None:
        return _Judged(at, cells, None, clusters)
    scores, there = found
    at = _labelled(there)
    said, true = (c[at] for c in scores)
    return _Judged(at, (_same(said), _same(true)) if _graded(said, true) else None, scores, clusters)


def _labelled(there: BoolArray) -> IntArray:
    """The rows with a label. Raises DataError for fewer than two."""
    at = np.flatnonzero(there)
    if at.size < 2:
        raise DataError(
            "too few labels from people", wanted="human filled in in two rows or more", got=str(at.size),
            fix="have people label some rows, drawn at random",
        )  # fmt: skip
    return at


def _same(scores: FloatArray) -> list[str]:
    """Grades as labels: pass, 1 and 1.0 are one."""
    return [f"{v:g}" for v in scores]


def _known(label: str, seen: Sequence[str]) -> None:
    known = list(dict.fromkeys(seen))
    if label not in known:
        raise DataError(
            f"no row has the label {label!r}",
            wanted=", ".join(known[:12]),
            got=label,
            fix=nearest(label, known),
        )


def _scores(columns: Mapping[str, Column]) -> tuple[tuple[FloatArray, FloatArray], BoolArray] | None:
    """Both columns as numbers, and where people gave one; None where they are labels. Raises where one is the one and
    the other the other, and where the judge gave none."""
    fix = "write one number, or one label, in every row"
    try:
        (judged, said), (people, there) = (numbers(columns[r], r, fix) for r in ("judge", "human"))
    except RowsError as e:
        judge, human = (set(texts(columns[r])) - {None} for r in ("judge", "human"))
        # another fix than ours: the cells are numbers in a foreign spelling
        if len(judge | human) > _MOST_LABELS or "not a number" not in e.message or e.fix != fix:
            raise
    else:
        bad = tuple(np.flatnonzero(~said).tolist())
        if bad:
            raise RowsError("judge is empty", rows=bad, wanted="a value in every row", fix=_FAILED)
        return (judged, people), there
    if not judge & human:
        raise DataError(
            "judge and human have no label in common",
            wanted="the same labels, or numbers in both",
            got=f"judge: {', '.join(sorted(map(str, judge))[:5])}; human: {', '.join(sorted(map(str, human))[:5])}",
            fix="spell them alike",
        )
    return None


def _graded(judge: FloatArray, human: FloatArray) -> bool:
    """Whether these are grades that can be counted as labels: few whole numbers, with some in common."""
    both = np.unique(np.concatenate([judge, human]))
    if _binary(both):
        return True
    few = both.size <= _MOST_GRADES and bool(np.all(both == np.floor(both)))
    return few and np.intersect1d(judge, human).size > 0


def _agreement(x: _Judged, sources: Sequence[LabelSource], how: JudgeOptions) -> list[Line]:
    """Kappa with the claim, the confusion table; for scores alpha."""
    clusters, labels = x.part(x.at), x.labels
    if labels is None:
        return _scores_agree(x, how)
    found = calibrate(*labels, sources, clusters=clusters, wanted_kappa=how.wanted_kappa, level=how.level)
    kappa = line_of("judge", "kappa", found.kappa)
    out = [replace(kappa, notes=(*kappa.notes, f"judge: {found.claim}"))]
    if x.scores is not None and len(found.table.labels) > 2:
        order = sorted(set(labels[0]) | set(labels[1]), key=float)
        squared = cohen_kappa(*labels, weights="quadratic", order=order, clusters=clusters, level=how.level)
        out.append(line_of("judge", "kappa, quadratic weights", squared))
    return [*out, *_table(labels, clusters, how.level)]


def _scores_agree(x: _Judged, how: JudgeOptions) -> list[Line]:
    """Alpha, for scores that are no grades."""
    clusters = x.part(x.at)
    if x.scores is None:
        return []
    pairs = np.concatenate([c[x.at] for c in x.scores])
    units = np.tile(np.arange(x.at.size), 2)
    each = None if clusters is None else np.tile(clusters, 2)
    alpha = krippendorff_alpha(pairs, units, metric="interval", clusters=each, level=how.level)
    why = Unknown("scores, not labels: kappa and a confusion table need labels or few grades")
    return [line_of("judge", "alpha, interval", alpha), plain_line("judge", "kappa", why, "Cohen's kappa")]


def _table(labels: tuple[list[str], list[str]], clusters: IntArray | None, level: float) -> list[Line]:
    """The confusion table, and how often each label is met and meant."""
    found = confusion(*labels, level=level)
    judge, human = (np.array(c) for c in labels)
    group = np.arange(len(judge)) if clusters is None else clusters

    def share(rows: BoolArray) -> FloatArray:
        return np.asarray((judge == human)[rows], np.float64)

    def rate(figure: str, rows: BoolArray) -> Line:
        if not rows.any():
            return plain_line("judge", figure, Unknown("no row has this label"), "rate")
        return line_of("judge", figure, clustered_rate(share(rows), group[rows], level=level))

    out = [rate("accuracy", np.ones(len(judge), np.bool_))]
    if len(found.labels) > _MOST_TABLE:
        return out
    for i, said in enumerate(found.labels):
        for j, true in enumerate(found.labels):
            cell = float(found.counts[i, j])
            out.append(plain_line("judge", f"judge {said}, people {true}", cell, COUNT, trials=len(judge)))
    for label in found.labels:
        out.append(rate(f"recall of {label}", human == label))
        out.append(rate(f"precision of {label}", judge == label))
    return out


def _binary(scores: FloatArray) -> bool:
    return bool(np.all((scores == 0.0) | (scores == 1.0)))


def _bias(x: _Judged, how: JudgeOptions) -> list[Line]:
    figure, method = "bias (judge less people)", "clustered mean"
    if x.scores is None:
        why = Unknown("labels that are no numbers have no mean; --positive LABEL counts one of them as 1")
        return [plain_line("judge", figure, why, method)]
    judged, people = x.scores[0][x.at], x.scores[1][x.at]
    for one, other in ((people, judged), (judged, people)):
        if _binary(one) and (other.min() < 0.0 or other.max() > 1.0):
            why = Unknown("judge and people are on different scales: one is 0 or 1, the other goes beyond")
            return [plain_line("judge", figure, why, method)]
    clusters = x.part(x.at)
    group = np.arange(x.at.size) if clusters is None else clusters
    bounds = (-1.0, 1.0) if x.binary else None
    return [line_of("judge", figure, clustered_mean(judged - people, group, level=how.level, bounds=bounds))]


def _means(subject: str, index: IntArray, x: _Judged, how: JudgeOptions) -> list[Line]:
    """People's mean from their labels alone and with the judge's help, over the rows `index`."""
    if x.scores is None:
        return []
    judged, human = x.scores
    has = np.isin(index, x.at)
    labelled, rest = index[has], index[~has]
    out = [
        plain_line(subject, "judge's mean, as it is", float(judged[index].mean()), "mean", trials=index.size)
    ]
    if labelled.size < 2:
        why = Unknown(f"{labelled.size} of its {index.size} rows have a label from people: two are needed")
        return [
            *out,
            plain_line(
                subject, "people's mean", why, "classical mean of the labels", trials=int(labelled.size)
            ),
        ]
    y, f, u = human[labelled], judged[labelled], judged[rest]
    out.append(
        line_of(subject, "people's mean, labels alone", _classical(y, x.part(labelled), how, two=x.binary))
    )
    if rest.size < 2:
        return [*out, plain_line(subject, "people's mean, with the judge", Unknown(
            "all rows but one are labelled: the labels alone say it" if rest.size else
            "every row is labelled: the labels alone say it"), "prediction-powered mean")]  # fmt: skip
    clusters = None
    if x.clusters is not None:
        clusters = Clusters(x.clusters[labelled], x.clusters[rest])
    options = PpiOptions(level=how.level, small_sample=not how.large_sample)
    out.append(
        line_of(subject, "people's mean, with the judge", ppi_mean(y, f, u, options, clusters=clusters))
    )
    if x.binary:
        line = line_of(subject, "people's rate, Rogan-Gladen", rogan_gladen(y, f, u, level=how.level))
        if clusters is not None:
            line = replace(line, interval=Unknown("Rogan-Gladen's interval takes rows for independent"))
        out.append(line)
    return out


def _classical(y: FloatArray, clusters: IntArray | None, how: JudgeOptions, *, two: bool) -> Estimate:
    if clusters is None:
        return classical_mean(y, level=how.level, small_sample=not how.large_sample)
    return clustered_mean(y, clusters, level=how.level, bounds=(0.0, 1.0) if two else None)


def _own(who: list[str], known: Sequence[str], x: _Judged, how: JudgeOptions) -> list[Line]:
    """How much kinder the judge is to its own model."""
    if not how.own:
        return []
    for name in how.own:
        if name not in known:
            raise DataError(
                f"--own {name}: no such contestant",
                wanted=", ".join(known[:12]),
                got=name,
                fix=nearest(name, known),
            )
    figure = "self-preference, its own less others"
    if x.scores is None:
        why = Unknown("labels that are no numbers have no mean; --positive LABEL counts one of them as 1")
        return [plain_line("judge", figure, why, "self-preference, difference in differences")]
    judged, people = (c[x.at] for c in x.scores)
    mine = [who[i] in how.own for i in x.at]
    return [
        line_of(
            "judge",
            figure,
            self_preference(judged, people, mine, clusters=x.part(x.at), level=how.level),
        )
    ]
