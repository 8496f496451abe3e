"""View 11: failures in groups. View 7: how a trial was judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.web.browsing import check_everywhere
from tests.web.kit import Pages, served

from steelyard.decide.failures import Failure, groups, signature
from steelyard.ledger import open_ledger
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.plan import Plan, SuiteUse
from steelyard.schema.record import Intent, Result, Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score
from steelyard.schema.task import Task
from steelyard.testing.ledger_rows import ListSuite


@pytest.mark.parametrize("which", ["ordinary", "hostile"])
def test_both_pages_keep_every_promise(browser: Browser, pages: Pages, which: str) -> None:
    check_everywhere(browser, pages.at(f"/runs/{pages.runs[which]}/failures"))
    check_everywhere(browser, pages.at(f"/runs/{pages.runs[which]}/score?t=0&c=1&k=0"))


@pytest.mark.parametrize("which", ["inspect", "swe_agent", "tau"])
def test_imported_runs_have_both(browser: Browser, imported_pages: Pages, which: str) -> None:
    check_everywhere(browser, imported_pages.at(f"/runs/{imported_pages.runs[which]}/failures"))
    check_everywhere(browser, imported_pages.at(f"/runs/{imported_pages.runs[which]}/score"))


def test_every_failure_is_in_one_group_and_infrastructure_stands_apart(pages: Pages) -> None:
    body = json.loads(pages.get(f"/runs/{pages.runs['ordinary']}/failures?format=json").text)
    assert body["n_read"] == body["n_all"]
    found = body["infrastructure"] + body["model"]
    assert sum(s["group"]["count"] for s in found) == body["n_all"]
    assert {s["group"]["kind"] for s in body["infrastructure"]} == {"provider: http_503"}
    assert {"wrong answer", "could not be read", "abstained"} <= {s["group"]["kind"] for s in body["model"]}
    for s in found:
        assert sum(n for _, n in s["group"]["by_contestant"]) == s["group"]["count"]


def test_one_contestant_is_chosen_by_address(pages: Pages) -> None:
    body = json.loads(
        pages.get(f"/runs/{pages.runs['ordinary']}/failures?contestant=alpha-large&format=json").text
    )
    names = {who for s in body["model"] for who, _ in s["group"]["by_contestant"]}
    assert names == {"alpha-large"}


def test_held_out_texts_stay_hidden(pages: Pages) -> None:
    run = pages.runs["ordinary"]
    score = pages.get(f"/runs/{run}/score?t=5&c=0&k=0").text
    assert "(held out)" in score
    assert "Answer: " not in score
    body = json.loads(pages.get(f"/runs/{run}/failures?format=json").text)
    assert any(s["group"]["says"] == "(held out)" for s in body["model"])


def test_the_parts_of_a_held_out_score_stay_hidden(tmp_path: Path) -> None:
    tasks = [Task(n, "go", "x", split=split) for n, split in (("open", "public"), ("kept", "held_out"))]  # type: ignore[arg-type] # both are splits
    plan = Plan((SuiteUse("s.jsonl", name="s", split="all"),), (ContestantSpec("m", "endpoint", model="m"),))
    ledger = open_ledger(str(tmp_path / "l"))
    score = Score(Outcome.FAILED, 0.0, parts={"test_rounds_half_to_even": 0.0})
    with ledger.create_run(plan, [ListSuite("s", tasks)]) as writer:
        for t in range(2):
            reply = Result(0, t, 0, 0, 2, "contestant", True, 0, Reply("done"))
            writer.append([Intent(0, t, 0, 0, 1, 1), reply, Scored(0, t, 0, 0, "code@1", score)])
        writer.close("complete")
    ledger.close()
    with served(tmp_path / "l") as found:
        assert "test_rounds" in found.get("/runs/last/score?t=0").text
        for form in ("", "&format=json", "&format=csv"):
            answer = found.get("/runs/last/score?t=1" + form)
            assert answer.status == 200
            assert "test_rounds" not in answer.text


def test_parts_reasons_and_every_repeat_are_shown(pages: Pages) -> None:
    body = json.loads(pages.get(f"/runs/{pages.runs['hostile']}/score?t=2&c=1&format=json").text)
    assert [n for n, _ in body["judged"][0]["parts"]][1] == "ok"
    body = json.loads(pages.get(f"/runs/{pages.runs['ordinary']}/score?t=3&c=3&k=1&format=json").text)
    assert [r["k"] for r in body["repeats"]] == [0, 1, 2]
    assert body["target"] == "27"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("expected 12, got 13", "Expected 7, got 999.5"),
        ('no column "price"', "no column 'cost of it'"),
        ("File /usr/lib/x.py line 3", "file /home/me/y.py line 44"),
        ("at 0xdeadbeef0", "at 0x1234"),
    ],
)
def test_texts_that_differ_in_particulars_are_one_group(one: str, other: str) -> None:
    assert signature(one) == signature(other)


def test_groups_name_what_their_tasks_have_in_common() -> None:
    hard = [Failure("model", "wrong answer", "m", "off", (0, i, 0), (("size", "large"),)) for i in range(8)]
    mixed = [Failure("model", "cut off", "n", "long", (1, i, 0), (("size", "small"),)) for i in range(8)]
    fault = Failure("infrastructure", "http_500", "n", "x", (1, 9, 0))
    found = groups([*mixed, *hard, fault])
    assert [g.side for g in found] == ["infrastructure", "model", "model"]
    by_kind = {g.kind: g for g in found}
    assert by_kind["wrong answer"].typical == (("size", "large", 1.0, 0.5),)
    assert by_kind["http_500"].count == 1
    assert groups([]) == ()


def test_an_empty_choice_of_contestants_is_all_of_them(pages: Pages) -> None:
    every = json.loads(pages.get(f"/runs/{pages.runs['ordinary']}/failures?contestant=&format=json").text)
    assert every["contestants"] == []
    assert {w for s in every["model"] for w, _ in s["group"]["by_contestant"]} == set(every["everyone"])
    one = json.loads(
        pages.get(f"/runs/{pages.runs['ordinary']}/failures?contestant=delta-nano&format=json").text
    )
    assert one["contestants"] == ["delta-nano"]


def test_a_group_says_when_its_text_is_one_of_several() -> None:
    one = [Failure("model", "wrong answer", "a", f"got {n}", (0, n, 0)) for n in (1, 2)]
    same = [Failure("model", "refused", "a", "no", (0, n, 0)) for n in (3, 4)]
    assert {g.kind: g.varied for g in groups([*one, *same])} == {"wrong answer": True, "refused": False}


def test_a_run_that_nobody_judged_is_not_a_run_without_failures(browser: Browser, tmp_path: Path) -> None:
    suite = ListSuite("s", [Task("a", "Q?", "1"), Task("b", "R?", "2")])
    specs = (ContestantSpec("m", "endpoint", model="m"),)
    ledger = open_ledger(str(tmp_path / "l"))
    plan = Plan((SuiteUse("s.jsonl", name="s", version=suite.header.version),), specs, name="kept")
    with ledger.create_run(plan, [suite], name="kept") as writer:
        for t in (0, 1):
            writer.append(
                [Intent(0, t, 0, 0, 1, seed=1), Result(0, t, 0, 0, 2, "contestant", True, 0, Reply(text="1"))]
            )
        writer.close("complete")
        run = writer.run
    ledger.close()
    with served(tmp_path / "l", named=str(tmp_path / "l")) as found:
        text = found.get("/runs/last/failures").text
        assert "No trial has been judged" in text
        assert "No contestant failed" not in text
        assert f"steelyard rescore {run} --ledger {tmp_path / 'l'}" in text
        summary = json.loads(found.get("/runs/last?format=json").text)
        assert (
            f"2 trials are kept without a score: `steelyard rescore {run}` judges what is kept."
            in summary["notes"]
        )
        assert not any("not done yet" in note for note in summary["notes"])
        assert "not judged" in found.get("/runs/last/trace?t=0").text
        check_everywhere(browser, found.at("/runs/last/failures"))
