"""`steelyard estimate judge|swaps|agreement|length|majority`: methods whose tables are no results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from steelyard.cli.figures import show
from steelyard.cli.given import Asked, Given, cluster_option, need_roles, read, table_options
from steelyard.cli.out import packed

if TYPE_CHECKING:
    from steelyard.decide.length import Gamed, Hardness

_TASK = (
    "task_id",
    "item",
    "item_id",
    "id",
    "question_id",
    "sample_id",
    "example_id",
    "instance_id",
    "prompt_id",
)
_WHO = ("model", "model_name", "model_id", "llm", "system", "agent", "candidate", "generator")
_CLUSTER = ("group", "family", "passage", "repository")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeAsked(Asked):
    """`estimate judge`."""

    labels_by: str
    own: tuple[str, ...]
    positive: str
    wanted_kappa: float
    large_sample: bool


_JUDGE: Mapping[str, tuple[str, ...]] = {
    "judge": ("judge_score", "judged", "judge_label", "prediction"),
    "human": ("human_score", "human_label", "people", "gold", "label"),
    "contestant": _WHO,
    "task": _TASK,
    "cluster": _CLUSTER,
    "labels_by": ("label_source",),
}


@click.command("judge")
@table_options
@cluster_option
@click.option("--labels-by", type=click.Choice(["person", "program", "model", "unstated"]), default="unstated",
              show_default=True, help="Who made the labels in the human column; a model's are refused.")  # fmt: skip
@click.option(
    "--own", multiple=True, metavar="NAME", help="Contestant of the judge's own model: self-preference."
)
@click.option("--positive", default="", metavar="LABEL", help="This label counts as 1 and every other as 0.")
@click.option("--wanted-kappa", default=0.6, show_default=True, help="Calibrated means kappa above this.")
@click.option(
    "--large-sample", is_flag=True, help="The large-sample interval of prediction-powered inference."
)
@packed(JudgeAsked)
def judge(asked: JudgeAsked) -> None:
    """A judge against people, who labelled some of its rows: agreement, bias, the score people would have given.

    Columns: judge, human (empty where nobody labelled); contestant, task, cluster, labels_by where there are.
    """
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.judging import JudgeOptions, judge_lines
    from steelyard.decide.roles import texts
    from steelyard.stats.judge import ModelMadeLabels

    given = read(asked, _JUDGE)
    need_roles(given, ("judge", "human"), _JUDGE)
    how = JudgeOptions(
        asked.labels_by, asked.own, asked.positive, asked.wanted_kappa, asked.level, asked.large_sample
    )
    roles = dict(given.roles)
    notes = []
    if "cluster" not in roles and "task" in roles:
        tasks = texts(roles["task"])
        if None not in tasks and len(set(tasks)) < len(tasks):
            roles["cluster"] = roles["task"]
            notes.append("rows of one task belong together (another column: --cluster NAME)")
    with given.located():
        try:
            found = judge_lines(roles, how)
        except ModelMadeLabels as e:
            e.fix = f"say --labels-by person if people made them; else {e.fix} (steelyard estimate agreement)"
            raise
    show(found, as_json=asked.as_json, notes=notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapsAsked(Asked):
    """`estimate swaps`."""

    by: tuple[str, ...]
    labels: str
    last: bool


_SWAPS: Mapping[str, tuple[str, ...]] = {
    "item": ("i", "task", *_TASK),
    "first": ("winner_first",),
    "swapped": ("winner_swapped",),
    "swap": ("is_swapped",),
    "winner": ("choice", "vote"),
    "label": ("gold", "human"),
    "cluster": _CLUSTER,
}


@click.command("swaps")
@table_options
@cluster_option
@click.option("--by", multiple=True, metavar="NAME", help="A judge's figures for each value of this column.")
@click.option(
    "--labels",
    default="",
    metavar="FILE",
    help="The better output (1 or 2) of each item, in a file of its own.",
)
@click.option(
    "--last", is_flag=True, help="Of an item judged again in the same order the last answer counts."
)
@packed(SwapsAsked)
def swaps(asked: SwapsAsked) -> None:
    """A judge that saw every pair of outputs in both orders: position bias, consistency, accuracy.

    Columns: first and swapped, the output (1 or 2) that won in each order; or item, swap (true, false) and winner, two
    rows a pair. label (the better output) and cluster where there are.
    """
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.raters import swap_lines
    from steelyard.decide.roles import named

    given = read(asked, _SWAPS)
    if "first" not in given.roles or "winner" in given.roles:
        need_roles(given, ("winner", "item", "swap"), _SWAPS)
    else:
        need_roles(given, ("first", "swapped"), _SWAPS)
    with given.located():
        roles = dict(given.roles)
        if asked.by:
            roles["by"] = named(given.columns, asked.by, given.table.source)
        if asked.labels:
            roles["label"] = _labels(asked, given)
        found = swap_lines(roles, last=asked.last, level=asked.level)
    show(found, as_json=asked.as_json)


def _labels(asked: SwapsAsked, given: Given) -> list[str]:
    """Each row's label from the file of labels, by item and by those --by columns that it has, too."""
    # lazy: numpy is needed only now
    from steelyard.decide.roles import looked_up, named, whole

    theirs = read(replace(asked, files=(asked.labels,), column=(), where=(), cluster=""), _SWAPS)
    need_roles(theirs, ("item", "label"), _SWAPS)
    need_roles(given, ("item",), _SWAPS)
    by = [n for n in asked.by if n in theirs.columns]
    keys = [
        whole(x.roles["item"], "item") if not by else
        [f"{b}|{i}" for b, i in zip(named(x.columns, by), whole(x.roles["item"], "item"), strict=True)]
        for x in (given, theirs)
    ]  # fmt: skip
    known = looked_up(keys[1], keys[1], whole(theirs.roles["label"], "label"))
    return looked_up(keys[0], keys[1], known)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementAsked(Asked):
    """`estimate agreement`."""

    metric: str
    weights: str | None


_AGREEMENT: Mapping[str, tuple[str, ...]] = {
    "item": ("i", "task", *_TASK),
    "rater": ("judge", "annotator", "voter", "evaluator", "worker", "grader"),
    "value": ("rating", "label", "score", "verdict", "grade", "winner"),
    "cluster": _CLUSTER,
}


@click.command("agreement")
@table_options
@cluster_option
@click.option("--metric", type=click.Choice(["nominal", "ordinal", "interval"]), default="nominal",
              show_default=True, help="How far apart two values are, for alpha.")  # fmt: skip
@click.option("--weights", type=click.Choice(["nominal", "linear", "quadratic"]), default=None,
              help="Of kappa [default: quadratic, with --metric nominal nominal].")  # fmt: skip
@packed(AgreementAsked)
def agreement(asked: AgreementAsked) -> None:
    """Raters beside each other: Krippendorff's alpha of all, Cohen's kappa of each pair.

    Columns: item, rater and value, one row a rating; or a column a rater, each named with --column rater=NAME. Empty
    cells are missing ratings.
    """
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.raters import agreement_lines

    given = read(asked, _AGREEMENT, several="rater")
    if not given.several:
        need_roles(given, ("item", "rater", "value"), _AGREEMENT)
    with given.located():
        found = agreement_lines(
            given.roles, given.several, metric=asked.metric, weights=asked.weights, level=asked.level  # type: ignore[arg-type] # click.Choice
        )  # fmt: skip
    show(found, as_json=asked.as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthAsked(Asked):
    """`estimate length`."""

    difficulty: str
    anchors: str
    share: bool
    compat: bool


_LENGTH: Mapping[str, tuple[str, ...]] = {
    "preference": (),
    "length_a": ("len_1", "length_1", "len_a"),
    "length_b": ("len_2", "length_2", "len_b"),
    "length_difference": ("length_diff", "delta_len"),
    "output_a": ("output_1",),
    "output_b": ("output_2",),
    "contestant": _WHO,
    "instruction": ("index", "instruction_id", "task", *_TASK),
    "row": ("pos",),
    "difficulty": ("instruction_difficulty",),
}
_ANCHORS: Mapping[str, tuple[str, ...]] = {
    "instruction": _LENGTH["instruction"],
    "tanh_length": ("tanh_std_delta_len",),
    "preference": ("preference_imputed",),
}


@click.command("length")
@table_options
@click.option(
    "--difficulty", default="", metavar="FILE", help="The difficulty of every instruction, one a line."
)
@click.option(
    "--anchors", default="", metavar="FILE", help="Judged pairs of length-gamed variants of the baseline."
)
@click.option("--share", is_flag=True, help="Preferences are the chance, 0 to 1, that the model is better.")
@click.option(
    "--compat", is_flag=True, help="Join difficulties by row number, as upstream does, to meet its figures."
)
@packed(LengthAsked)
def length(asked: LengthAsked) -> None:
    """Win rate over a baseline: raw, discrete, and at equal length (AlpacaEval 2). Shares, 0 to 1, of each model.

    FILE: AlpacaEval's annotations.json as it is, or columns preference (1 baseline ... 2 model, 0 a draw), length_a (of
    the baseline's answer) and length_b (of the model's), or length_difference (a less b); contestant, instruction,
    difficulty where there are.
    """
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.length import LengthOptions, length_lines

    given = read(asked, _LENGTH)
    need_roles(given, ("preference",), _LENGTH)
    hardness = _hardness(asked) if asked.difficulty else None
    gamed = _gamed(asked) if asked.anchors else None
    with given.located():
        how = LengthOptions(asked.share, asked.compat, asked.level)
        found = length_lines(given.roles, how, hardness, gamed)
    show(found, as_json=asked.as_json)


def _hardness(asked: LengthAsked) -> Hardness:
    # lazy: numpy is needed only now
    from steelyard.decide.length import hardness_of

    theirs = read(replace(asked, files=(asked.difficulty,), column=(), where=()), _LENGTH)
    need_roles(theirs, ("instruction", "difficulty"), _LENGTH)
    with theirs.located():
        return hardness_of(theirs.roles)


def _gamed(asked: LengthAsked) -> Gamed:
    # lazy: numpy is needed only now
    from steelyard.decide.length import gamed_of

    theirs = read(replace(asked, files=(asked.anchors,), column=(), where=()), _ANCHORS)
    need_roles(theirs, ("instruction", "tanh_length", "preference"), _ANCHORS)
    with theirs.located():
        return gamed_of(theirs.roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityAsked(Asked):
    """`estimate majority`."""

    k: tuple[int, ...]


_MAJORITY: Mapping[str, tuple[str, ...]] = {
    "task": _TASK,
    "answer": ("final_answer", "prediction"),
    "correct": ("score", "is_correct", "passed", "reward"),
    "contestant": _WHO,
    "trial": ("epoch", "repeat", "rollout", "repetition"),
    "selector": ("judge_score", "logprob"),
    "cluster": _CLUSTER,
}


@click.command("majority")
@table_options
@cluster_option
@click.option(
    "--k",
    multiple=True,
    type=click.IntRange(1),
    required=True,
    help="Trials that are asked; give it again for more.",
)
@packed(MajorityAsked)
def majority(asked: MajorityAsked) -> None:
    """The most frequent of k answers, and with a selector the best of k, over all ways to draw k of a task's trials.

    Columns: task, answer (in one spelling), correct, one row a trial; selector (what picks: a judge's score, a
    log-probability), contestant, cluster where there are. With a selector, answer may be absent.
    """
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.voted import majority_lines

    given = read(asked, _MAJORITY)
    need_roles(given, ("task", "correct", *(() if "selector" in given.roles else ("answer",))), _MAJORITY)
    with given.located():
        found = majority_lines(given.roles, asked.k, level=asked.level)
    show(found, as_json=asked.as_json)


SUBCOMMANDS = (judge, swaps, agreement, length, majority)
"""What the group takes up."""
