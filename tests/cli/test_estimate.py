"""`steelyard estimate`: every method by name on a table, against values worked out by hand or by the textbook's formula."""

from __future__ import annotations

import json
from math import comb, log
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from scipy import special

from steelyard.cli.main import main
from steelyard.errors import ExitCode


def steelyard(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args])


def lines(*args: object) -> dict[tuple[str, str], dict[str, object]]:
    found = steelyard("estimate", *args, "--json")
    assert found.exit_code == 0, found.output
    return {(x["subject"], x["figure"]): x for x in json.loads(found.stdout)["lines"]}


def write(path: Path, head: str, rows: list[str]) -> Path:
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def repeated(tmp_path: Path) -> Path:
    """Three tasks x four trials: 4, 2 and 1 passes."""
    passes = {"t1": 4, "t2": 2, "t3": 1}
    rows = [f"{t},m,{k},{int(k < c)}" for t, c in passes.items() for k in range(4)]
    return write(tmp_path / "r.csv", "task,contestant,trial,score", rows)


def test_repeats_are_the_unbiased_combinations(repeated: Path) -> None:
    found = lines("repeats", repeated, "--k", 1, "--k", 3)
    at = [1 - comb(4 - c, 3) / comb(4, 3) for c in (4, 2, 1)]
    hat = [comb(c, 3) / comb(4, 3) for c in (4, 2, 1)]
    assert found["m", "pass@1"]["value"] == pytest.approx(7 / 12)
    assert found["m", "pass@3"]["value"] == pytest.approx(sum(at) / 3)
    assert found["m", "pass^3"]["value"] == pytest.approx(sum(hat) / 3)


def test_too_few_trials_are_unknown_and_name_the_task(repeated: Path) -> None:
    found = steelyard("estimate", "repeats", repeated, "--k", 5)
    assert found.exit_code == 0
    assert "3 of 3 tasks have fewer, such as t1 with 4" in found.output


def test_scores_split_the_variance_between_tasks_and_trials(repeated: Path) -> None:
    found = lines("scores", repeated)
    noise = (0 + 4 / 3 * 0.25 + 4 / 3 * 0.1875) / 3
    means = (1.0, 0.5, 0.25)
    spread = sum((m - 7 / 12) ** 2 for m in means) / 2
    assert found["m", "variance between trials"]["value"] == pytest.approx(noise)
    assert found["m", "variance between tasks"]["value"] == pytest.approx(spread - noise / 4)
    assert found["m", "standard error"]["value"] == pytest.approx((spread / 3) ** 0.5)


@pytest.mark.parametrize(("method", "low", "high"), [
    ("clopper-pearson", special.betaincinv(7, 4, 0.025), special.betaincinv(8, 3, 0.975)),
    ("jeffreys", special.betaincinv(7.5, 3.5, 0.025), special.betaincinv(7.5, 3.5, 0.975)),
])  # fmt: skip
def test_a_rate_has_the_interval_asked_for(tmp_path: Path, method: str, low: float, high: float) -> None:
    path = write(tmp_path / "r.csv", "task,score", [f"t{i},{int(i < 7)}" for i in range(10)])
    found = lines("scores", path, "--method", method)["contestant", "score"]
    assert found["value"] == pytest.approx(0.7)
    assert found["interval"]["low"] == pytest.approx(low)
    assert found["interval"]["high"] == pytest.approx(high)


def test_a_rate_of_repeated_trials_is_refused(repeated: Path) -> None:
    found = steelyard("estimate", "scores", repeated, "--method", "wilson")
    assert found.exit_code == ExitCode.BAD_INPUT
    assert "got: 4 trials of a task" in found.output
    assert "--method two-level" in found.output


def test_ungraded_trials_bound_the_score_from_both_sides(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "task,score", [*(f"t{i},{int(i < 6)}" for i in range(8)), "t8,", "t9,"])
    found = lines("scores", path)
    assert found["contestant", "coverage"]["value"] == pytest.approx(0.8)
    assert found["contestant", "score if all ungraded had the least"]["value"] == pytest.approx(0.6)
    assert found["contestant", "score if all ungraded had the greatest"]["value"] == pytest.approx(0.8)
    assert found["contestant", "score"]["value"] == pytest.approx(0.75)
    assert "2 trials without a grade are left out" in found["contestant", "score"]["notes"][0]


def test_abstention_counts_right_wrong_and_silent(tmp_path: Path) -> None:
    outcomes = ["passed"] * 5 + ["failed"] * 2 + ["abstained"] * 3
    rows = [f"t{i},{int(o == 'passed')},{o}" for i, o in enumerate(outcomes)]
    found = lines("abstention", write(tmp_path / "r.csv", "task,score,outcome", rows))
    assert found["contestant", "index (-100 to +100)"]["value"] == pytest.approx(30.0)
    assert found["contestant", "hallucination rate"]["value"] == pytest.approx(0.4)
    assert found["contestant", "right among attempted"]["value"] == pytest.approx(5 / 7)
    assert found["contestant", "abstained trials"]["value"] == 3


def test_partial_scores_need_a_mark_to_pass(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "task,score", ["a,0.2", "b,0.9", "c,1"])
    refused = steelyard("estimate", "abstention", path)
    assert refused.exit_code == ExitCode.BAD_INPUT
    assert "got: 0.2 on a" in refused.output
    found = lines("abstention", path, "--pass-at", 0.5)
    assert found["contestant", "right among all"]["value"] == pytest.approx(2 / 3)


def test_no_failure_in_independent_trials_claims_nines(tmp_path: Path) -> None:
    rows = [f"t{i},1,en,36" for i in range(300)]
    path = write(tmp_path / "r.csv", "task,score,language,seconds", rows)
    found = lines("failures", path)
    most = next(v for (_, f), v in found.items() if f.startswith("failure rate, at most"))
    assert most["value"] == pytest.approx(1 - 0.05 ** (1 / 300))
    assert found["contestant", "nines that may be claimed"]["value"] == 2
    more = found["contestant", "further clean trials until the next nine"]["value"]
    assert more == -(-log(0.05) // log(0.999)) - 300
    assert found["contestant", "hours between failures"]["value"] == {"unknown": "no failure yet"}
    least = next(v for (_, f), v in found.items() if f.startswith("hours between failures, at least"))
    assert least["value"] == pytest.approx(3.0 / -log(0.05))


def test_repeated_trials_claim_by_tasks_and_no_time_between_failures(repeated: Path) -> None:
    found = lines("failures", repeated)
    assert "unknown" in found["m", "further clean trials until the next nine"]["value"]
    most = next(v for (_, f), v in found.items() if f.startswith("failure rate, at most"))
    assert "effective clusters, 3 clusters" in most["method"]


def test_a_pool_without_trials_of_a_used_value_counts_it_as_failing(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.csv", "task,score,language", [f"t{i},1,{'en' if i % 2 else 'de'}" for i in range(400)]
    )
    found = lines("failures", path, "--by", "language", "--share", "en=8", "--share", "fr=2")
    most = next(
        v for (_, f), v in found.items() if f.startswith("failure rate, pooled over language, at most")
    )
    # en: the gamma bound of no failure in 200, at 0.8 of the use; fr: 0.2, never tried
    assert most["value"] == pytest.approx(0.2 + 0.8 / 200 * -log(0.05))
    assert any("language fr" in n for n in most["notes"])


@pytest.mark.parametrize(("args", "said"), [
    (("--by", "langage"), "did you mean language?"),
    (("--by", "language"), "--share en=0.5"),
    (("--by", "language", "--share", "en=-1"), "numbers of at least 0"),
    (("--by", "language", "--share", "en=x"), "not a number"),
])  # fmt: skip
def test_a_pool_that_is_wrong_says_what_to_do(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    path = write(
        tmp_path / "r.csv", "task,score,language", [f"t{i},1,{'en' if i % 2 else 'de'}" for i in range(9)]
    )
    found = steelyard("estimate", "failures", path, *args)
    assert found.exit_code in (ExitCode.USAGE, ExitCode.BAD_INPUT)
    assert said in found.output


def test_a_suite_that_everybody_solves_is_to_be_retired(tmp_path: Path) -> None:
    rows = [f"t{t},{m},{int(t > 0)}" for m in "abcd" for t in range(400)]
    path = write(tmp_path / "r.csv", "task,contestant,score", rows)
    found = steelyard("estimate", "suite", path, "--tasks", "--json")
    doc = json.loads(found.stdout)
    assert doc["lines"][0]["subject"].startswith("suite: retire, ")
    counts = {x["figure"]: x["value"] for x in doc["lines"]}
    assert counts["tasks: nobody solves"] == 1
    assert counts["tasks: everybody solves"] == 399
    assert [t["task"] for _, t in doc["tasks"]][:2] == ["t0", "t1"]


def test_conditions_are_reweighted_to_production(tmp_path: Path) -> None:
    rows = [f"t{i},{'en' if i < 30 else 'de'},{int(i % 30 < (24 if i < 30 else 12))}" for i in range(60)]
    path = write(tmp_path / "r.csv", "task,language,score", rows)
    mix = write(tmp_path / "mix.csv", "language,share", ["en,0.2", "de,0.7", "fr,0.1"])
    found = lines("conditions", path, "--by", "language", "--mix", mix)
    assert found["contestant", "language en"]["value"] == pytest.approx(0.8)
    assert found["contestant", "language de"]["value"] == pytest.approx(0.4)
    assert found["contestant", "in the mix asked for"]["value"] == pytest.approx(
        (0.2 * 0.8 + 0.7 * 0.4) / 0.9
    )
    assert found["contestant", "in the mix, at least"]["value"] == pytest.approx(0.44)
    assert found["contestant", "in the mix, at most"]["value"] == pytest.approx(0.54)
    assert found["mix of the tasks", "total variation from the mix"]["value"] == pytest.approx(0.3)


def test_a_mix_may_be_a_log_of_requests(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.csv", "task,language,score", [f"t{i},{'en' if i % 2 else 'de'},1" for i in range(40)]
    )
    mix = write(tmp_path / "mix.csv", "language", ["en"] * 3 + ["de"])
    found = lines("conditions", path, "--by", "language", "--mix", mix)
    assert found["mix of the tasks", "total variation from the mix"]["value"] == pytest.approx(0.25)
    other = write(tmp_path / "other.csv", "tongue", ["en"])
    lacking = steelyard("estimate", "conditions", path, "--by", "language", "--mix", other)
    assert lacking.exit_code == ExitCode.USAGE
    assert "no column 'language'" in lacking.output


def test_a_sequence_holds_at_every_look_and_has_its_evidence(tmp_path: Path) -> None:
    rows = [f"t{i},{m},{int((i * 7) % 10 < c)}" for m, c in (("a", 5), ("b", 8)) for i in range(200)]
    path = write(tmp_path / "r.csv", "task,contestant,score", rows)
    found = lines("sequence", path, "--null", 0.5)
    assert found["b", "score"]["interval"]["low"] > 0.5
    assert found["b", "e-value that it is greater than 0.5"]["value"] > 20
    assert found["a", "e-value that it is greater than 0.5"]["value"] < 20
    paired = lines("sequence", path, "--baseline", "a")
    assert paired["b", "difference from a"]["value"] == pytest.approx(0.3)
    counts = lines("sequence", path, "--method", "beta-binomial", "--contestant", "a")["a", "score"]
    assert counts["interval"]["low"] < 0.5 < counts["interval"]["high"]


def test_trials_are_spent_where_the_noise_is(tmp_path: Path) -> None:
    rows = [f"sure,m,{k},1" for k in range(8)] + [f"coin,m,{k},{k % 2}" for k in range(8)]
    path = write(tmp_path / "r.csv", "task,contestant,trial,score", rows)
    found = json.loads(steelyard("estimate", "spend", path, "--budget", 10, "--json").stdout)
    assert found["cells"][0][:2] == ["m", "coin"]
    assert sum(n for _, _, n in found["cells"]) == 10
    assert found["se_after"] < found["se_before"]


@pytest.mark.parametrize("name", ["scores", "repeats", "abstention", "failures", "suite", "sequence"])
def test_every_method_refuses_what_is_no_number_and_names_the_row(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "r.csv", "task,score", ["a,1", "b,nan", "c,0"])
    found = steelyard("estimate", name, path)
    assert found.exit_code == ExitCode.BAD_INPUT
    assert "line 3" in found.output


def test_names_of_contestants_cannot_draw_on_the_terminal(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "task,contestant,score", ["a,\x1b[31mred,1", "b,\x1b[31mred,0"])
    found = steelyard("estimate", "scores", path)
    assert "\x1b" not in found.output
    assert "\\x1b[31mred" in found.output


@pytest.fixture
def gaps(tmp_path: Path) -> Path:
    """Each contestant lacks a task of the other, and the second one's do not begin with the table's first."""
    rows = ["a,m,0,1", "b,m,0,1", "b,m,1,0", "c,m,0,0", "c,n,0,1", "b,n,0,0", "d,n,0,1"]
    return write(tmp_path / "g.csv", "task,contestant,trial,score", rows)


def test_a_sequence_pairs_the_tasks_that_both_have(gaps: Path) -> None:
    assert lines("sequence", gaps)["n", "score"]["value"] == pytest.approx(2 / 3)
    paired = lines("sequence", gaps, "--baseline", "m")["n", "difference from m"]
    assert paired["value"] == pytest.approx(((0 - 0.5) + (1 - 0)) / 2)
    assert (paired["tasks"], paired["clusters"]) == (2, 2)


def test_a_sequence_weighs_clusters_by_their_tasks(tmp_path: Path) -> None:
    rows = [f"b{i},1,big" for i in range(60)] + [f"s{i},0,c{i}" for i in range(20)]
    path = write(tmp_path / "r.csv", "task,score,cluster", rows)
    found = lines("sequence", path, "--null", 0.5)
    assert found["contestant", "score"]["value"] == pytest.approx(0.75)
    assert found["contestant", "score"]["value"] == lines("scores", path)["contestant", "score"]["value"]
    assert "unknown" in found["contestant", "e-value that it is less than 0.5"]["value"]
    refused = steelyard("estimate", "sequence", path, "--method", "hoeffding")
    assert refused.exit_code == ExitCode.BAD_INPUT
    assert "--method betting" in refused.output


def test_spending_on_a_table_with_gaps_fills_them_and_says_what_was_not_known(gaps: Path) -> None:
    found = json.loads(steelyard("estimate", "spend", gaps, "--budget", 4, "--json").stdout)
    assert found["se_before"] == {"unknown": "a contestant has no graded trial of some task"}
    assert {("n", "a"), ("m", "d")} <= {(c, t) for c, t, _ in found["cells"]}


@pytest.mark.parametrize(("args", "said"), [
    (("sequence", "--null", "2"), "--null"),
    (("spend", "--budget", "nan"), "--budget"),
    (("spend", "--budget", "-1"), "--budget"),
    (("spend", "--budget", "3", "--price", "m=0"), "--price m"),
])  # fmt: skip
def test_a_wish_that_cannot_be_is_refused_by_its_name(gaps: Path, args: tuple[str, ...], said: str) -> None:
    found = steelyard("estimate", args[0], gaps, *args[1:])
    assert found.exit_code == ExitCode.BAD_INPUT
    assert said in found.output
