"""estimate judge, swaps, agreement, length, majority: the figures of `stats` on columns of any name, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from tests.cli.test_verdict_commands import steelyard, write

from steelyard.stats.agreement import cohen_kappa
from steelyard.stats.alpha import krippendorff_alpha
from steelyard.stats.base import Estimate, Interval
from steelyard.stats.judge import self_preference, swap_table
from steelyard.stats.length_control import Difficulty, length_controlled, win_rate
from steelyard.stats.passk import best_of_n, majority_vote
from steelyard.stats.ppi import Clusters, classical_mean, ppi_mean, rogan_gladen

Table = dict[str, list[object]]


def lines(got: Result) -> dict[tuple[str, str], dict]:
    assert got.exit_code == 0, got.output
    return {(x["subject"], x["figure"]): x for x in json.loads(got.stdout)["lines"]}


def figures(found: dict[tuple[str, str], dict], subject: str) -> dict[str, object]:
    return {figure: x["value"] for (s, figure), x in found.items() if s == subject}


def same(line: dict, estimate: Estimate) -> None:
    assert line["value"] == estimate.value
    assert isinstance(estimate.interval, Interval)
    assert [line["interval"][k] for k in ("low", "high")] == [estimate.interval.low, estimate.interval.high]
    assert line["clusters"] == estimate.n_clusters


def refused(got: Result, *says: str, code: int = 3) -> None:
    assert got.exit_code == code, got.output
    assert "Traceback" not in got.output
    for text in says:
        assert text in got.output


JUDGE: Table = {
    "judge": [1, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0],
    "human": [1, 0, 0, 0, 1, 1, 1, 1, "", "", "", ""],
    "model": ["x", "y"] * 6,
}


def test_a_judge_by_hand(tmp_path: Path) -> None:
    """8 labelled rows: 4 + 2 alike, 1 + 1 apart; kappa (0.75 - 17/32) / (1 - 17/32) = 7/15."""
    path = write(tmp_path / "j.csv", JUDGE)
    found = lines(steelyard("estimate", "judge", path, "--labels-by", "person", "--json"))
    judge = figures(found, "judge")
    assert judge["kappa"] == pytest.approx(7 / 15)
    assert judge["accuracy"] == 0.75
    assert [judge[f"judge {a}, people {b}"] for a in (0, 1) for b in (0, 1)] == [2, 1, 1, 4]
    assert judge["recall of 1"] == 0.8
    assert judge["precision of 0"] == pytest.approx(2 / 3)
    assert judge["bias (judge less people)"] == 0
    assert judge["judge's mean, as it is"] == pytest.approx(7 / 12)
    assert any("8 labels are too few" in n for n in found["judge", "kappa"]["notes"])
    assert found["judge", "kappa"]["method"] == "Cohen's kappa, nominal weights, score limits"


def test_a_judges_corrected_means_are_those_of_stats_overall_and_for_each_contestant(tmp_path: Path) -> None:
    path = write(tmp_path / "j.csv", JUDGE)
    found = lines(steelyard("estimate", "judge", path, "--labels-by", "person", "--json"))
    judge, human = np.array(JUDGE["judge"], float), np.array(JUDGE["human"][:8], float)
    same(found["judge", "people's mean, labels alone"], classical_mean(human))
    same(found["judge", "people's mean, with the judge"], ppi_mean(human, judge[:8], judge[8:]))
    same(found["judge", "people's rate, Rogan-Gladen"], rogan_gladen(human, judge[:8], judge[8:]))
    for start, name in enumerate("xy"):
        own = judge[start::2]
        same(found[name, "people's mean, with the judge"], ppi_mean(human[start::2], own[:4], own[4:]))
    same(
        lines(steelyard("estimate", "judge", path, "--labels-by", "person", "--own", "y", "--json"))[
            "judge", "self-preference, its own less others"
        ],
        self_preference(judge[:8], human, [m == "y" for m in JUDGE["model"][:8]]),
    )


def test_rows_of_one_task_or_of_a_named_cluster_belong_together(tmp_path: Path) -> None:
    table = {**JUDGE, "passage": [f"p{i % 5}" for i in range(12)], "task": [i // 2 for i in range(12)]}
    path = write(tmp_path / "j.jsonl", table)
    judge, human = np.array(JUDGE["judge"], float), np.array(JUDGE["human"][:8], float)
    for options, of in (
        ([], [i // 2 for i in range(12)]),
        (["--cluster", "passage"], [i % 5 for i in range(12)]),
    ):
        columns = {k: v for k, v in table.items() if options or k != "passage"}
        write(path, columns)
        got = steelyard("estimate", "judge", path, "--labels-by", "person", *options, "--json")
        found = lines(got)
        expected = ppi_mean(human, judge[:8], judge[8:], clusters=Clusters(of[:8], of[8:]))
        same(found["judge", "people's mean, with the judge"], expected)
        assert "cluster-robust" in found["judge", "people's mean, with the judge"]["method"]
        assert "unknown" in found["judge", "people's rate, Rogan-Gladen"]["interval"]
        assert ("one task belong together" in got.stdout) == (not options)


def test_a_judge_with_words_or_labels(tmp_path: Path) -> None:
    words = {
        "verdict": ["good", "good", "bad", "bad", "good", "bad"],
        "gold": ["good", "bad", "bad", "bad", "good", None],
    }
    path = write(tmp_path / "w.jsonl", words)
    how = ("--column", "judge=verdict", "--labels-by", "person", "--json")
    found = lines(steelyard("estimate", "judge", path, *how))
    assert found["judge", "kappa"]["value"] == cohen_kappa(words["verdict"][:5], words["gold"][:5]).value
    assert "--positive" in json.dumps(found["judge", "bias (judge less people)"])
    counted = lines(steelyard("estimate", "judge", path, *how, "--positive", "good"))
    assert counted["judge", "bias (judge less people)"]["value"] == pytest.approx(0.2)
    assert counted["judge", "kappa"]["value"] == pytest.approx(found["judge", "kappa"]["value"])
    refused(steelyard("estimate", "judge", path, *how, "--positive", "god"), "did you mean good?")


def test_scores_get_alpha_in_place_of_kappa_and_grades_get_both_kappas(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    people = rng.normal(5, 1, 40)
    judge = people + rng.normal(0.5, 0.5, 40)
    table: Table = {"judge": judge.tolist(), "human": [*people[:30].tolist(), *[None] * 10]}
    found = lines(
        steelyard("estimate", "judge", write(tmp_path / "s.jsonl", table), "--labels-by", "person", "--json")
    )
    pairs = np.concatenate([judge[:30], people[:30]])
    same(
        found["judge", "alpha, interval"],
        krippendorff_alpha(pairs, np.tile(np.arange(30), 2), metric="interval"),
    )
    assert "unknown" in found["judge", "kappa"]["value"]
    same(found["judge", "people's mean, with the judge"], ppi_mean(people[:30], judge[:30], judge[30:]))
    grades: Table = {"judge": [1, 2, 3, 3, 2, 1, 3, 2], "human": [1, 2, 3, 2, 2, 1, 3, 1]}
    found = lines(
        steelyard("estimate", "judge", write(tmp_path / "g.csv", grades), "--labels-by", "person", "--json")
    )
    same(
        found["judge", "kappa, quadratic weights"],
        cohen_kappa(grades["judge"], grades["human"], weights="quadratic"),
    )
    assert "every row is labelled" in json.dumps(found["judge", "people's mean, with the judge"])


@pytest.mark.parametrize(
    ("by", "says"),
    [([], "3 by nobody stated"), (["--labels-by", "model"], "3 of 3 were made by a model")],
)
def test_labels_of_a_model_or_of_nobody_are_refused_by_line(tmp_path: Path, by: list[str], says: str) -> None:
    path = write(tmp_path / "j.csv", {"judge": [1, 0, 1, 1], "human": ["", 0, 1, 1]})
    refused(steelyard("estimate", "judge", path, *by), "lines 3, 4, 5", says, "--labels-by person")
    table = {"judge": [1, 0, 1, 1], "human": ["", 0, 1, 1], "labels_by": ["", "person", "model", "person"]}
    mixed = steelyard("estimate", "judge", write(tmp_path / "m.csv", table), *by)
    refused(mixed, "line 4", "1 of 3 were made by a model")


@pytest.mark.parametrize(
    ("table", "options", "says"),
    [
        ({"judge": [1, 0], "gold_score": [1, 0]}, [], ["no human column", "--column human=NAME"]),
        ({"judge": [1, "", 1], "human": [1, 0, 1]}, [], ["judge is empty", "line 3"]),
        ({"judge": [1, "N/A", 1], "human": [1, 0, 1]}, [], ["judge is empty", "line 3"]),
        ({"judge": [1, 0, 1], "human": ["", "", 1]}, [], ["too few labels"]),
        ({"judge": [1, "nan", 1], "human": [1, 0, 1]}, [], ["NaN", "line 3"]),
        ({"judge": ["a", "b"], "human": [1, 2]}, [], ["no label in common"]),
        ({"judge": ["0,5", "0,7"], "human": [1, 0]}, [], ["line", "decimals with a point"]),
        ({"judge": [1, 0], "human": [1, 0]}, ["--own", "x"], ["contestant column"]),
        ({"judge": [1, 0], "human": [1, 0], "model": ["gpt", "b"]}, ["--own", "gtp"], ["did you mean gpt?"]),
        ({"judge": [1, 0], "human": [1, 0]}, ["--column", "human=humen"], ["no column 'humen'", "human"]),
        ({"judge": [1, 0], "human": [1, 0]}, ["--cluster", "c"], ["no column 'c'"]),
        ({"judge": [1, 0], "human": [1, 0]}, ["--where", "judge=7"], ["no row has judge = '7'"]),
        ({"judge": [1, 0], "human": [1, 0]}, ["--level", "95"], ["level"]),
        ({"judge": [1, 0], "human": [1, 0], "labels_by": ["person", "cat"]}, [], ["labels_by", "line 3"]),
    ],
)  # fmt: skip
def test_bad_judge_tables_are_refused(
    tmp_path: Path, table: Table, options: list[str], says: list[str]
) -> None:
    path = write(tmp_path / "j.csv", table)
    refused(steelyard("estimate", "judge", path, "--labels-by", "person", *options), *says)


def test_roles_and_files_that_are_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "j.csv", JUDGE)
    refused(steelyard("estimate", "judge", path, "--column", "x=judge"), "no such role", code=2)
    twice = ("--column", "judge=judge", "--column", "judge=human")
    refused(steelyard("estimate", "judge", path, *twice), "named twice", code=2)
    refused(steelyard("estimate", "judge", tmp_path / "none.csv"), "no such file")


def test_bias_between_two_scales_is_unknown(tmp_path: Path) -> None:
    path = write(tmp_path / "j.csv", {"judge": [7, 3, 9, 1], "human": [1, 0, 1, 0]})
    found = lines(steelyard("estimate", "judge", path, "--labels-by", "person", "--json"))
    assert "different scales" in json.dumps(found["judge", "bias (judge less people)"])


FIRST, SWAPPED, GOLD = ["1", "1", "2", "1", "tie"], ["1", "2", "2", "1", "2"], ["1", "1", "2", "2", "2"]


def test_swaps_in_a_row_a_pair_and_in_two(tmp_path: Path) -> None:
    """By hand: same winner 3 of 5; shown first chosen .5, 1, .5, .5, .75; right 3, 3 and 2 of 5."""
    wide = lines(
        steelyard(
            "estimate", "swaps", write(tmp_path / "w.csv", {"first": FIRST, "swapped": SWAPPED, "label": GOLD}),
            "--json",
        )
    )  # fmt: skip
    expected = swap_table(FIRST, SWAPPED, GOLD)
    same(wide["judge", "same winner in both orders"], expected.consistent)
    same(wide["judge", "position bias"], expected.position_bias)
    by_hand = {"accuracy, output 1 first": 0.6, "accuracy, output 2 first": 0.6, "right in both orders": 0.4}
    assert {k: figures(wide, "judge")[k] for k in by_hand} == by_hand
    assert figures(wide, "judge")["same winner in both orders"] == 0.6
    assert figures(wide, "judge")["position bias"] == pytest.approx(0.15)
    rows: Table = {
        "judge": ["j"] * 10, "item": [*range(5), *range(5)], "swap": [False] * 5 + [True] * 5,
        "winner": [None if w == "tie" else int(w) for w in FIRST + SWAPPED],
    }  # fmt: skip
    labels = write(tmp_path / "l.csv", {"item": [*range(5)], "label": GOLD})
    long = lines(
        steelyard(
            "estimate",
            "swaps",
            write(tmp_path / "l.jsonl", rows),
            "--by",
            "judge",
            "--labels",
            labels,
            "--json",
        )
    )
    assert figures(long, "j") == figures(wide, "judge")


def test_swaps_without_labels_say_what_they_cannot_know(tmp_path: Path) -> None:
    path = write(tmp_path / "w.csv", {"first": FIRST, "swapped": SWAPPED, "group": list("aabbc")})
    got = steelyard("estimate", "swaps", path)
    assert got.exit_code == 0, got.output
    assert "right in both orders: unknown, because no labels were given" in got.output
    found = lines(steelyard("estimate", "swaps", path, "--json"))
    same(found["judge", "position bias"], swap_table(FIRST, SWAPPED, clusters=list("aabbc")).position_bias)


@pytest.mark.parametrize(
    ("table", "options", "says"),
    [
        ({"one": [1, 2], "other": [1, 2]}, [], ["no winner column"]),
        ({"first": [1, "A"], "swapped": [1, 2]}, [], ["neither an output nor a tie", "line 3"]),
        ({"first": [1, 2], "swapped": [1, 2], "label": [1, "tie"]}, [], ["neither output", "line 3"]),
        ({"first": [1, 2], "swapped": [1, 2], "item": ["a", "a"]}, [], ["occurs twice", "line 3"]),
        ({"item": [1, 1, 2], "swap": [0, 1, 0], "winner": [1, 1, 1]}, [], ["in one order only", "line 4"]),
        ({"item": [1, 1, 1], "swap": [0, 1, 1], "winner": [1, 1, 1]}, [], ["judged again", "line 4", "--last"]),
        ({"item": [1, 1], "swap": [0, "x"], "winner": [1, 1]}, [], ["swap is not a number", "line 3"]),
        ({"first": [1, 2], "swapped": [1, 2]}, ["--by", "judge"], ["no column 'judge'"]),
        ({"first": ["tie", "tie"], "swapped": [1, 2]}, [], ["first: names no output"]),
    ],
)  # fmt: skip
def test_bad_swaps_are_refused(tmp_path: Path, table: Table, options: list[str], says: list[str]) -> None:
    refused(steelyard("estimate", "swaps", write(tmp_path / "s.csv", table), *options), *says)


def test_labels_of_a_second_file_must_be_there_once(tmp_path: Path) -> None:
    rows = {"item": [1, 1, 2, 2], "swap": [0, 1, 0, 1], "winner": [1, 1, 2, 1]}
    path = write(tmp_path / "s.csv", rows)
    few = write(tmp_path / "few.csv", {"item": [1], "label": [1]})
    refused(steelyard("estimate", "swaps", path, "--labels", few), "no label of these", "lines 4, 5")
    two = write(tmp_path / "two.csv", {"item": [1, 2, 1], "label": [1, 1, 2]})
    refused(steelyard("estimate", "swaps", path, "--labels", two), "1 has two labels")


def test_agreement_long_and_wide_is_that_of_stats(tmp_path: Path) -> None:
    ann, bob, cy = ["a", "b", "b", "a", ""], ["a", "b", "a", "a", "b"], ["", "b", "b", "a", "a"]
    wide = write(tmp_path / "w.csv", {"item": list("vwxyz"), "ann": ann, "bob": bob, "cy": cy})
    names = [o for n in ("ann", "bob", "cy") for o in ("--column", f"rater={n}")]
    found = lines(steelyard("estimate", "agreement", wide, *names, "--json"))
    rated = [
        (v, i, r)
        for r, c in (("ann", ann), ("bob", bob), ("cy", cy))
        for i, v in zip("vwxyz", c, strict=True)
        if v
    ]
    values, items, raters = (list(c) for c in zip(*rated, strict=True))
    same(found["all raters", "alpha, nominal"], krippendorff_alpha(values, items))
    same(found["ann and bob", "kappa, nominal weights"], cohen_kappa(ann[:4], bob[:4]))
    assert found["ann and bob", "same value"]["value"] == 0.75
    assert found["ann and cy", "same value"]["value"] == 1.0
    long = write(tmp_path / "l.csv", {"item": items, "rater": raters, "value": values})
    assert lines(steelyard("estimate", "agreement", long, "--json")) == found


def test_agreement_of_grades_takes_order_and_weights(tmp_path: Path) -> None:
    one, two = [1, 2, 10, 4, 5, 2], [1, 3, 9, 4, 4, 2]
    path = write(tmp_path / "g.csv", {"x": one, "y": two})
    names = ("--column", "rater=x", "--column", "rater=y", "--json")
    values, units = [*one, *two], [*range(6)] * 2
    for metric in ("ordinal", "interval"):
        found = lines(steelyard("estimate", "agreement", path, *names, "--metric", metric))
        same(found["all raters", f"alpha, {metric}"], krippendorff_alpha(values, units, metric=metric))  # type: ignore[arg-type] # one of them
        same(found["x and y", "kappa, quadratic weights"], cohen_kappa(one, two, weights="quadratic"))
    found = lines(steelyard("estimate", "agreement", path, *names, "--weights", "linear"))
    same(found["x and y", "kappa, linear weights"], cohen_kappa(one, two, weights="linear"))


@pytest.mark.parametrize(
    ("table", "options", "says"),
    [
        ({"item": [1, 1], "value": [1, 2]}, [], ["no rater column"]),
        ({"item": [1, 1], "rater": ["a", "a"], "value": [1, 2]}, [], ["occurs twice", "line 3"]),
        ({"item": [1, 1], "rater": ["a", "b"], "value": [1, "good"]}, ["--metric", "interval"], ["line 3", "nominal"]),
        ({"item": [1, 1], "rater": ["a", "b"], "value": [1, "NA"]}, ["--metric", "ordinal"], ["line 3", "number"]),
        ({"item": [1, 1], "rater": ["a", "b"], "value": ["", ""]}, [], ["too few ratings"]),
        ({"item": [1, 1], "rater": ["a", ""], "value": [1, 1]}, [], ["rater is empty", "line 3"]),
        ({"x": [1], "y": [2]}, ["--column", "rater=x", "--column", "rater=z"], ["no column 'z'"]),
    ],
)  # fmt: skip
def test_bad_ratings_are_refused(tmp_path: Path, table: Table, options: list[str], says: list[str]) -> None:
    refused(steelyard("estimate", "agreement", write(tmp_path / "r.csv", table), *options), *says)


def test_raters_without_a_common_item_have_no_kappa(tmp_path: Path) -> None:
    table: Table = {"item": [1, 1, 2, 2], "rater": ["a", "b", "a", "c"], "value": ["x", "y", "x", "x"]}
    got = steelyard("estimate", "agreement", write(tmp_path / "r.csv", table))
    assert got.exit_code == 0, got.output
    assert "b and c, kappa: unknown, because no item was rated by both" in got.output


PREFERENCE = [1.1, 1.9, 2.0, 1.0, 1.6, 1.2, 1.8, 1.3, 1.7, 1.4, 1.0, 2.0, 0.0]
LONGER = [120, -300, -450, 200, -80, 60, -350, 90, -20, 30, -310, 260, 5]
HARD = [0.1, -0.4, 1.2, 0.3, -1.0, 0.0, 0.7, 0.2, -0.6, 1.1, 0.5, -0.2, 0.9]


def test_length_from_lengths_differences_or_answers(tmp_path: Path) -> None:
    raw, fit = win_rate(PREFERENCE), length_controlled(PREFERENCE, LONGER)
    a = [500 + max(0, d) for d in LONGER]
    b = [500 - min(0, d) for d in LONGER]
    tables: list[Table] = [
        {"preference": PREFERENCE, "length_difference": LONGER},
        {"preference": PREFERENCE, "length_a": a, "length_b": b},
        {"preference": PREFERENCE, "output_1": ["é" * n for n in a], "output_2": ["y" * n for n in b]},
    ]
    for i, table in enumerate(tables):
        path = write(tmp_path / f"{i}.jsonl", table)
        found = lines(steelyard("estimate", "length", path, "--json"))
        same(found["model", "win rate"], raw.rate)
        same(found["model", "win rate, discrete"], raw.discrete)
        same(found["model", "win rate at equal length"], fit.rate)
        assert [found["model", w]["value"] for w in ("wins", "losses", "draws")] == [raw.wins, raw.losses, 1]
        assert found["model", "effect of length"]["value"] == fit.length
    share = {"preference": [0.5 if p == 0 else p - 1 for p in PREFERENCE], "length_difference": LONGER}
    got = lines(steelyard("estimate", "length", write(tmp_path / "s.csv", share), "--share", "--json"))
    assert got["model", "win rate"]["value"] == pytest.approx(raw.rate.value)


def test_length_of_alpacaevals_annotations_as_they_are(tmp_path: Path) -> None:
    """Two models' files; one pair was not judged, so upstream's row numbers shift by one after it."""
    files = []
    for model in ("m1", "m2"):
        rows = [
            {"instruction": f"do {i}", "output_1": "b" * (500 + max(0, d)), "generator_1": "base",
             "output_2": "m" * (500 - min(0, d)), "generator_2": model, "preference": p, "annotator": "judge",
             "raw_completion": {"x": [1]}}
            for i, (p, d) in enumerate(zip(PREFERENCE, LONGER, strict=True))
        ]  # fmt: skip
        if model == "m2":
            rows[3]["preference"] = None
        (tmp_path / model).mkdir()
        files.append(tmp_path / model / "annotations.json")
        files[-1].write_text(json.dumps(rows))
    hard = write(tmp_path / "hard.csv", {"instruction": [f"do {i}" for i in range(13)], "difficulty": HARD})
    keep = [i for i in range(13) if i != 3]
    for options, row in (([], keep), (["--compat"], [*range(12)])):
        found = lines(steelyard("estimate", "length", *files, "--difficulty", hard, *options, "--json"))
        whole = length_controlled(PREFERENCE, LONGER, Difficulty(HARD, [*range(13)]))
        same(found["m1", "win rate at equal length"], whole.rate)
        part = length_controlled(
            [PREFERENCE[i] for i in keep], [LONGER[i] for i in keep], Difficulty(HARD, row)
        )
        same(found["m2", "win rate at equal length"], part.rate)
        assert found["m2", "effect of difficulty"]["value"] == part.difficulty
    assert "1 of 13 pairs have no preference" in json.dumps(found["m2", "win rate"]["notes"])


def test_a_column_of_difficulties_and_models_that_cannot_be_fitted(tmp_path: Path) -> None:
    table: Table = {
        "model": ["m"] * 13 + ["few"] * 3, "preference": [*PREFERENCE, 1.2, 1.9, 1.4],
        "length_difference": [*LONGER, 1, 2, 3], "difficulty": [*HARD, 0, 1, 2],
    }  # fmt: skip
    found = lines(steelyard("estimate", "length", write(tmp_path / "d.csv", table), "--json"))
    fit = length_controlled(PREFERENCE, LONGER, Difficulty(HARD, [*range(13)]))
    same(found["m", "win rate at equal length"], fit.rate)
    assert "too few pairs" in found["few", "win rate at equal length"]["value"]["unknown"]


@pytest.mark.parametrize(
    ("table", "options", "says"),
    [
        ({"winner": [1, 2], "x": [1, 2]}, [], ["no preference column"]),
        ({"preference": [1.5, 2.5], "x": [1, 2]}, [], ["outside its scale", "line 3"]),
        ({"preference": [0, 1, 0.7], "x": [1, 2, 3]}, [], ["scale cannot be told", "--share"]),
        ({"preference": [0, 1, 1.7], "x": [1, 2, 3]}, ["--share"], ["outside its scale", "line 4"]),
        ({"preference": [1.5, "good"], "x": [1, 2]}, [], ["not a number", "line 3"]),
        ({"preference": [1.5, 1.7], "length_difference": [1, ""]}, [], ["no length", "line 3"]),
        ({"preference": [1.5, 1.7], "index": [1, 1]}, [], ["occurs twice", "line 3"]),
        ({"preference": ["", ""], "x": [1, 1]}, [], ["no preference"]),
        ({"preference": [1.5] * 12, "length_difference": [*range(12)]}, ["--compat"], ["--difficulty"]),
        ({"preference": [1.5, 1.7], "x": [1, 2]}, ["--anchors", "none.csv"], ["no such file"]),
    ],
)  # fmt: skip
def test_bad_preferences_are_refused(
    tmp_path: Path, table: Table, options: list[str], says: list[str]
) -> None:
    refused(steelyard("estimate", "length", write(tmp_path / "p.csv", table), *options), *says)


def test_an_instruction_without_difficulty_is_named_by_line(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.csv", {"preference": PREFERENCE, "length_difference": LONGER, "index": [*range(13)]}
    )
    few = write(tmp_path / "few.csv", {"index": [*range(11)], "difficulty": HARD[:11]})
    got = steelyard("estimate", "length", path, "--difficulty", few)
    refused(got, "no difficulty of these", "lines 13, 14")
    twice = write(tmp_path / "twice.csv", {"index": [1, 1], "difficulty": [0, 1]})
    refused(
        steelyard("estimate", "length", path, "--difficulty", twice), "twice.csv", "occurs twice", "line 3"
    )


ANSWERS: Table = {
    "task": [t for t in "abc" for _ in range(4)],
    "answer": ["7", "8", "7", "7", "1", "2", "2", "5", "x", "x", "x", "x"],
    "correct": [1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1],
    "selector": [0.9, 0.2, 0.8, 0.7, 0.1, 0.3, 0.2, 0.6, 0.5, 0.5, 0.5, 0.5],
}


def test_majority_and_best_of_k_are_those_of_stats(tmp_path: Path) -> None:
    """By hand, k = 4: a and c are right; b has two of "2", which is right and most frequent."""
    path = write(tmp_path / "a.csv", ANSWERS)
    found = lines(steelyard("estimate", "majority", path, "--k", 1, "--k", 3, "--k", 4, "--json"))
    columns = [ANSWERS[n] for n in ("answer", "correct", "task")]
    assert found["all", "majority of 4"]["value"] == 1.0
    assert found["all", "majority of 1"]["value"] == pytest.approx((0.75 + 0.5 + 1) / 3)
    for k in (1, 3):
        same(found["all", f"majority of {k}"], majority_vote(*columns, k=k))
        same(found["all", f"best of {k}"], best_of_n(columns[1], ANSWERS["selector"], columns[2], n=k))


def test_majority_for_each_contestant_clustered_and_without_an_answer(tmp_path: Path) -> None:
    table = {k: v + v for k, v in ANSWERS.items() if k != "selector"}
    table["model"] = ["one"] * 12 + ["two"] * 12
    table["answer"] = [*ANSWERS["answer"], *[""] * 12]
    table["correct"] = [*ANSWERS["correct"], *[0] * 12]
    table["repository"] = ["r" if t in "ab" else "s" for t in table["task"]]
    found = lines(steelyard("estimate", "majority", write(tmp_path / "a.csv", table), "--k", 3, "--json"))
    clusters = table["repository"][:12]
    columns = [ANSWERS[n] for n in ("answer", "correct", "task")]
    same(found["one", "majority of 3"], majority_vote(*columns, k=3, clusters=clusters))
    assert found["two", "majority of 3"]["value"] == 0.0


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        ({"answer": None, "selector": None}, ["--k", 1], ["no answer column"]),
        ({"correct": [""] + [1] * 11}, ["--k", 1], ["correct is empty", "line 2"]),
        ({"selector": [""] + [1] * 11}, ["--k", 1], ["selector is empty", "line 2"]),
        ({"correct": [1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1]}, ["--k", 1], ["graded right in one row", "lines 2, 4, 5"]),
        ({"correct": [0.5] * 12}, ["--k", 1], ["correct", "line"]),
        ({"trial": [0] * 12}, ["--k", 1], ["occurs twice", "lines 3, 4"]),
        ({"task": [""] + ["a"] * 11}, ["--k", 1], ["task is empty", "line 2"]),
    ],
)  # fmt: skip
def test_bad_answers_are_refused(
    tmp_path: Path, change: dict, options: list[object], says: list[str]
) -> None:
    table = {k: v for k, v in {**ANSWERS, **change}.items() if v is not None}
    refused(steelyard("estimate", "majority", write(tmp_path / "a.csv", table), *options), *says)


def test_majority_needs_a_k_and_enough_trials(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ANSWERS)
    assert steelyard("estimate", "majority", path).exit_code == 2
    assert steelyard("estimate", "majority", path, "--k", 0).exit_code == 2
    got = steelyard("estimate", "majority", path, "--k", 5)
    assert got.exit_code == 0, got.output
    assert "5 trials a task are needed; 3 of 3 tasks have fewer" in got.output


def test_chosen_rows_are_named_by_their_own_lines(tmp_path: Path) -> None:
    table = {"judge": [1, 1, "", 0], "human": [1, 0, 1, 1], "set": ["a", "b", "b", "b"]}
    path = write(tmp_path / "j.csv", table)
    refused(steelyard("estimate", "judge", path, "--labels-by", "person", "--where", "set=b"), "line 4")
    refused(
        steelyard("estimate", "judge", write(tmp_path / "j.json.jsonl", table), "--where", "set=b"), "line 3"
    )


def test_a_hostile_label_reaches_no_terminal_raw(tmp_path: Path) -> None:
    table: Table = {"judge": ["\x1b[31mx", "b", "b"], "human": ["\x1b[31mx", "b", "\x1b[31mx"]}
    got = steelyard("estimate", "judge", write(tmp_path / "j.jsonl", table), "--labels-by", "person")
    assert got.exit_code == 0, got.output
    assert "\x1b" not in got.output
