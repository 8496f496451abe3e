"""plan, rank and doctor: from files of several tools and from runs."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.cli.test_verdict_commands import BASE, steelyard, table, write
from tests.decide.tables import columns

from steelyard.ledger.importers import ImportOptions, import_results
from steelyard.ledger.place import open_ledger
from steelyard.schema.plan import Trials
from steelyard.schema.record import Record
from steelyard.schema.score import FAILED, PASSED, ungraded
from steelyard.testing.ledger_rows import plan_of, sums, whole_trial


def test_millers_anchors_on_the_command_line() -> None:
    plain = steelyard("plan", "--difference", 0.03, "--between", 1 / 9, "--noise", 0, "--noise", 0)
    assert "969 tasks" in plain.output
    noisy = steelyard(
        "plan", "--difference", 0.03, "--between", 1 / 9, "--noise", 1 / 6, "--noise", 1 / 6, "--json"
    )
    assert json.loads(noisy.output)["plans"][0]["design"]["tasks"] == 3876


def test_a_pilot_gives_a_plan_with_prices(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", table(0.05, cost={"old": 0.5, "new": 5.0}))
    got = json.loads(steelyard("plan", path, "--difference", 0.05, "--task-cost", 3, "--json").output)[
        "plans"
    ][0]
    assert got["contestants"] == ["old", "new"]
    assert got["design"]["trials"][0] >= got["design"]["trials"][1]
    assert got["cost"] == got["design"]["cost"]
    assert got["design"]["method"].startswith("normal power")
    each = steelyard("plan", path, "--half-width", 0.05, "--price", "new=7")
    assert each.output.count("to know") == 2
    assert "the pilot's own uncertainty" in each.output


@pytest.mark.parametrize(
    "args",
    [
        ["--half-width", "0.1"],
        ["--half-width", "0.1", "--difference", "0.1", "--rate", "0.5"],
        ["--rate", "0.5"],
    ],
)
def test_a_plan_without_a_goal_or_a_pilot_is_a_usage_error(args: list[str]) -> None:
    assert steelyard("plan", *args).exit_code == 2


def test_too_few_tasks_to_plan_is_said(tmp_path: Path) -> None:
    got = steelyard("plan", write(tmp_path / "r.csv", table(0.0, 1)), "--half-width", 0.1)
    assert got.exit_code == 3
    assert "two tasks" in got.output


def votes_file(path: Path, n: int = 400) -> Path:
    rng = np.random.default_rng(0)
    strength = {"a": 1.0, "b": 0.0, "c": -1.0}
    names = np.array(list(strength))
    rows: dict[str, list[object]] = {k: [] for k in ("model_a", "model_b", "winner", "prompt", "length")}
    for i in range(n):
        x, y = rng.choice(names, 2, replace=False)
        wins = rng.random() < 1 / (1 + np.exp(strength[y] - strength[x]))
        for key, value in zip(
            rows, (x, y, "model_a" if wins else "model_b", i % 40, rng.normal()), strict=True
        ):
            rows[key].append(value)
    return write(path, rows)


def test_votes_are_ranked_with_intervals_and_a_position_term(tmp_path: Path) -> None:
    path = votes_file(tmp_path / "votes.csv")
    got = json.loads(steelyard("rank", path, "--feature", "length", "--json").output)
    assert [r["contestant"] for r in got["rows"]] == ["a", "b", "c"]
    assert got["rows"][0]["rank"]["best"] == 1
    assert got["rows"][0]["elo"]["interval"]["method"]
    assert "value" in got["position"]
    assert "length" in got["style"]
    plain = steelyard("rank", path, "--no-position", "--anchor", "b")
    assert "no position term: switched off" in plain.output
    assert "1000.0" in plain.output


def test_results_are_ranked_task_by_task_and_it_is_said(tmp_path: Path) -> None:
    got = steelyard("rank", write(tmp_path / "r.csv", table(0.2)))
    assert "task by task" in got.output
    assert got.output.index("new") < got.output.index("old  ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model_a,model_b,winner\na,b,x\n", "line 2"),
        ("model_a,model_b,winner\na,b,a\na,a,tie\n", "line 3"),
        ("model_a,model_b,winner\na,b,tie\n", ""),
        ("model_a,model_b,winner\na,b,model_a\nc,d,model_b\n", ""),
    ],
)
def test_votes_that_cannot_be_rated_end_with_3(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "v.csv").write_text(text)
    got = steelyard("rank", tmp_path / "v.csv")
    assert got.exit_code == 3, got.output
    assert says in got.output


def test_doctor_says_what_is_missing_and_what_is_not(tmp_path: Path) -> None:
    got = json.loads(steelyard("doctor", write(tmp_path / "r.csv", table(0.1)), "--json").output)
    standing = {f["question"]: f["standing"] for f in got["findings"]}
    assert standing["a paired comparison"] == "yes"
    assert standing["latency limits"] == "no"
    assert standing["tasks that belong together"] == "no"
    assert standing["noise from trial to trial, pass^k, flaky tasks"] == "yes"
    assert "20 %" not in json.dumps(got)


def test_doctor_names_the_command_and_counts_graded_trials_alone(tmp_path: Path) -> None:
    rows = {"task": ["a", "a", "a", "b", "b", "b"], "trial": [0, 1, 2] * 2, "score": [1, 0, 1, 1, None, 0]}
    found = json.loads(steelyard("doctor", write(tmp_path / "r.csv", rows), "--json").output)["findings"]
    repeats = next(f for f in found if "pass^k" in f["question"])
    assert repeats["sentence"] == "100% of cells have two graded trials or more, k up to 2"
    assert repeats["command"] == "estimate repeats"
    assert next(f for f in found if f["question"] == "a paired comparison")["command"] == ""


def test_doctor_reads_votes(tmp_path: Path) -> None:
    got = steelyard("doctor", votes_file(tmp_path / "votes.jsonl"))
    assert "400 votes on 3 contestants" in got.output
    assert "add a voter column" in got.output


def test_doctor_goes_on_past_columns_that_it_does_not_know(tmp_path: Path) -> None:
    rows = table(0.1)
    rows["answer"] = [f"x{i}" for i in range(len(rows["task"]))]
    got = steelyard("doctor", write(tmp_path / "r.csv", rows))
    assert got.exit_code == 0
    assert "unknown column 'answer'" in got.output


def test_doctor_needs_something_to_look_at() -> None:
    assert steelyard("doctor").exit_code == 2
    assert steelyard("doctor", "missing.csv").exit_code == 3


SAMPLE = {"scores": {"match": {"value": "C"}, "judge": {"value": 0.5}}, "epoch": 1, "working_time": 2.0}


def inspect_log(path: Path, model: str, values: list[object]) -> Path:
    samples = [
        {**SAMPLE, "id": i, "scores": {"match": {"value": v}, "judge": {"value": 0.5}}}
        for i, v in enumerate(values)
    ]
    samples.append({"id": 99, "epoch": 1, "error": {"message": "boom"}})
    head = {"version": 2, "eval": {"model": model, "task": "sums"}, "plan": {}}
    if path.suffix == ".json":
        path.write_text(json.dumps({**head, "samples": samples}))
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(head))
        for i, sample in enumerate(samples):
            archive.writestr(f"samples/{i}_epoch_1.json", json.dumps(sample))
    return path


def test_inspect_logs_of_two_models_are_compared(tmp_path: Path) -> None:
    one = inspect_log(tmp_path / "a.eval", "m1", ["C", "I", "P", "N", 1, 0.25])
    two = inspect_log(tmp_path / "b.json", "m2", ["I", "I", "I", "I", 0, False])
    got = json.loads(steelyard("compare", one, two, "--json").output)
    assert got["baseline"] == "m1"
    assert got["items"][0]["paired"]["baseline_mean"] == pytest.approx((1 + 0 + 0.5 + 0 + 1 + 0.25) / 6)
    assert got["items"][0]["ungraded"] == 2
    assert any("other scorers: inspect:judge" in n for n in got["notes"])
    judged = json.loads(steelyard("compare", one, two, "--column", "score=inspect:judge", "--json").output)
    assert judged["items"][0]["paired"]["baseline_mean"] == 0.5


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", b"not a zip"])
def test_broken_inspect_logs_end_with_3(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "x.eval").write_bytes(raw)
    assert steelyard("doctor", tmp_path / "x.eval").exit_code == 3


def test_lm_eval_samples_of_two_models_are_compared(tmp_path: Path) -> None:
    for model, right in (("org__m1", 1.0), ("org__m2", 0.0)):
        (tmp_path / model).mkdir()
        lines = [
            {"doc_id": i, "doc": {}, "target": "x", "resps": [["x"]], "filtered_resps": ["x"], "filter": f,
             "metrics": ["exact_match"], "exact_match": right if i % 3 else 1 - right}
            for i in range(60) for f in ("strict", "flexible")
        ]  # fmt: skip
        path = tmp_path / model / "samples_gsm8k_2026-01-01T00-00-00.jsonl"
        path.write_text("".join(json.dumps(x) + "\n" for x in lines))
    files = sorted(tmp_path.glob("*/samples_*.jsonl"))
    got = json.loads(steelyard("compare", *files, "--json").output)
    assert got["items"][0]["contestant"] == "org/m2"
    assert got["items"][0]["paired"]["difference"]["n_tasks"] == 60
    assert any("other scorers" in n for n in got["notes"])


def test_promptfoo_results_are_compared_and_errors_are_ungraded(tmp_path: Path) -> None:
    rows = [
        {"provider": {"id": f"openai:{m}"}, "promptIdx": 0, "testIdx": i, "success": ok, "score": 1.0, "latencyMs": 100,
         "cost": 0.01, "failureReason": 0 if ok else 1}
        for i in range(40) for m, ok in (("a", True), ("b", i % 2 == 0))
    ]  # fmt: skip
    rows.append({**rows[0], "testIdx": 40, "success": False, "failureReason": 2, "error": "429"})
    path = tmp_path / "out.json"
    path.write_text(json.dumps({"evalId": "e", "results": {"version": 3, "results": rows}, "config": {}}))
    got = json.loads(steelyard("compare", path, "--json").output)
    assert got["items"][0]["verdict"] == "worse"
    assert got["items"][0]["ungraded"] == 1


def test_a_run_of_the_ledger_is_compared_and_planned_trials_count(tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path / "led"))
    plan = plan_of("old", "new", name="mine")
    with ledger.create_run(plan, [sums(40)]) as writer:
        records: list[Record] = []
        for t in range(40):
            records += whole_trial(0, t, 0, PASSED if t % 4 == 0 else FAILED)
            if t < 30:
                records += whole_trial(1, t, 0, PASSED if t != 3 else ungraded("provider"))
        writer.append(records)
        writer.close("complete")
    ledger.close()
    assert plan.trials == Trials()
    place = ("--ledger", tmp_path / "led")
    got = json.loads(steelyard("compare", "mine", *place, "--json").output)
    assert got["items"][0]["verdict"] == "better"
    assert got["items"][0]["ungraded"] == 11
    (tmp_path / "g.yaml").write_text("gate: regression\nbaseline: old\n")
    assert steelyard("gate", tmp_path / "g.yaml", "last", *place).exit_code == 12
    assert "read as: run" in steelyard("doctor", "mine", *place).output
    assert steelyard("compare", "none-such", *place).exit_code == 3


def test_no_file_and_no_ledger_is_said(tmp_path: Path) -> None:
    got = steelyard("compare", "some-run", "--ledger", tmp_path / "none")
    assert got.exit_code in (3, 4)
    assert "Traceback" not in got.output


def test_files_without_a_contestant_are_named_by_their_files(tmp_path: Path) -> None:
    for name, shift in (("old", 0.0), ("new", 0.25)):
        rows = columns({name: np.clip(BASE + shift, 0, 1)}, 2, 3)
        del rows["contestant"]
        write(tmp_path / f"{name}.csv", rows)
    got = json.loads(steelyard("compare", tmp_path / "old.csv", tmp_path / "new.csv", "--json").output)
    assert got["baseline"] == "old"
    assert got["items"][0]["verdict"] == "better"


def test_horizon_needs_minutes_and_gives_none_where_success_does_not_fall(tmp_path: Path) -> None:
    assert steelyard("horizon", write(tmp_path / "r.csv", table(0.1))).exit_code == 3
    rows = table(0.1)
    rows["minutes"] = [2.0 ** (int(str(t)[1:]) % 9) for t in rows["task"]]
    rows["score"] = [1.0] * len(rows["score"])
    got = steelyard("horizon", write(tmp_path / "m.csv", rows), "--bootstrap", 20)
    assert got.exit_code == 0, got.output
    assert "every run succeeded" in got.output


def test_a_pilot_without_differences_promises_nothing(tmp_path: Path) -> None:
    rows = table(0.1)
    rows["score"] = [1.0] * len(rows["score"])
    got = json.loads(
        steelyard("plan", write(tmp_path / "r.csv", rows), "--half-width", 0.1, "--json").output
    )["plans"]
    assert "unknown" in got[0]["now"]
    assert "unknown" in got[0]["design"]


def test_votes_kept_in_the_ledger_are_ranked(tmp_path: Path) -> None:
    path = votes_file(tmp_path / "votes.csv")
    ledger = open_ledger(str(tmp_path / "led"))
    import_results(ledger, [path], ImportOptions(name="arena"))
    ledger.close()
    kept = json.loads(
        steelyard("rank", "arena", "--ledger", tmp_path / "led", "--feature", "length", "--json").output
    )
    file = json.loads(steelyard("rank", path, "--feature", "length", "--json").output)
    assert kept["rows"] == file["rows"]
    assert "400 votes" in steelyard("doctor", "arena", "--ledger", tmp_path / "led").output


def test_votes_of_several_arenas_are_ranked_together(tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path / "led"))
    lines = votes_file(tmp_path / "votes.csv").read_text().splitlines()
    for name, rows in (("first", lines[1:151]), ("second", lines[151:])):
        half = tmp_path / f"{name}.csv"
        half.write_text("\n".join([lines[0], *rows]) + "\n")
        import_results(ledger, [half], ImportOptions(name=name))
    ledger.close()
    place = ("--ledger", tmp_path / "led", "--json")
    both = json.loads(steelyard("rank", "first", "second", *place).stdout)
    whole = json.loads(steelyard("rank", tmp_path / "votes.csv", "--json").stdout)
    assert both["rows"] == whole["rows"]
    files = json.loads(steelyard("rank", tmp_path / "first.csv", tmp_path / "second.csv", "--json").stdout)
    assert files["rows"] == whole["rows"]
    assert json.loads(steelyard("rank", "first", "first", *place).stdout)["rows"] != whole["rows"]


def test_several_runs_are_one_table(tmp_path: Path) -> None:
    """A contestant of both runs is two; its tasks meet by name; votes and results do not mix."""
    ledger = open_ledger(str(tmp_path / "led"))
    for run, shift in (("monday", 0.0), ("tuesday", 0.25)):
        rows = columns({"mine": np.clip(BASE + shift, 0, 1), run[:3]: BASE}, 2, 3)
        import_results(ledger, [write(tmp_path / f"{run}.csv", rows)], ImportOptions(name=run, suite="s"))
    import_results(ledger, [votes_file(tmp_path / "votes.csv")], ImportOptions(name="arena"))
    ledger.close()
    place = ("--ledger", tmp_path / "led")
    got = steelyard("compare", "monday", "tuesday", *place, "--baseline", "mine (monday)", "--json")
    found = json.loads(got.stdout)
    by_name = {item["contestant"]: item for item in found["items"]}
    assert set(by_name) == {"mine (tuesday)", "mon", "tue"}
    assert by_name["mine (tuesday)"]["verdict"] == "better"
    assert "several runs have mine" in " ".join(found["notes"])
    ranked = json.loads(steelyard("rank", "monday", "tuesday", *place, "--json").stdout)
    assert ranked["rows"][0]["contestant"] == "mine (tuesday)"
    mixed = steelyard("rank", "monday", "arena", *place)
    assert mixed.exit_code == 3
    assert "rank them apart" in mixed.output
    twice = steelyard("compare", "monday", "monday", *place)
    assert twice.exit_code == 3
    assert "the same run twice" in twice.output


@pytest.mark.parametrize(
    ("score", "minutes", "standing", "says"),
    [
        (lambda t, k: float((t + k) % 12 < 6), lambda t, k: 2.0**t, "yes", "known for 100%"),
        (lambda t, k: 1.0, lambda t, k: 2.0**t, "no", "every run succeeded"),
        (lambda t, k: float(t < 6), lambda t, k: 2.0**t + k, "no", "several lengths: t0: 1 and 2"),
        (lambda t, k: 0.5, lambda t, k: 2.0**t, "no", "runs that passed or failed"),
    ],
)
def test_doctor_promises_a_horizon_only_where_there_is_one(
    tmp_path: Path,
    score: Callable[[int, int], float],
    minutes: Callable[[int, int], float],
    standing: str,
    says: str,
) -> None:
    cells = [(t, k) for t in range(12) for k in range(2)]
    rows: dict[str, list[object]] = {
        "task": [f"t{t}" for t, _ in cells],
        "contestant": ["a"] * len(cells),
        "trial": [k for _, k in cells],
        "score": [score(t, k) for t, k in cells],
        "minutes": [minutes(t, k) for t, k in cells],
    }
    found = json.loads(steelyard("doctor", write(tmp_path / "r.csv", rows), "--json").stdout)["findings"]
    horizon = next(f for f in found if f["question"] == "time horizon")
    assert horizon["standing"] == standing
    assert says in horizon["sentence"]
