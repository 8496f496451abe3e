"""View 1: the runs of a ledger."""

from __future__ import annotations

import csv
import io
import json
import time
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Browser
from tests.web.browsing import check_everywhere, look
from tests.web.kit import Pages, served

from steelyard.ledger import open_ledger
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.plan import Plan, SuiteUse
from steelyard.schema.record import Intent, Result, Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score
from steelyard.schema.task import Task
from steelyard.testing import ledgers
from steelyard.testing.ledger_rows import ListSuite
from steelyard.web.desk import Desk
from steelyard.web.views.runs import NOT_YET, Leader, _leader


def test_the_page_keeps_every_promise(browser: Browser, pages: Pages) -> None:
    check_everywhere(browser, pages.at("/runs"))


def test_words_filter_and_groups_restore_from_the_address(pages: Pages) -> None:
    text = pages.get("/runs?q=ordinary+gamma&group=suite").text
    assert "1 of 2" in text
    assert pages.runs["ordinary"] in text
    assert pages.runs["hostile"] not in text
    assert text.count(pages.runs["ordinary"]) > 2  # it stands in the groups of both of its suites


def test_downloads_are_the_same_runs(pages: Pages) -> None:
    rows = list(csv.DictReader(io.StringIO(pages.get("/runs?format=csv").text)))
    assert {r["run"] for r in rows} == set(pages.runs.values())
    body = json.loads(pages.get("/runs?format=json").text)
    assert body["n_all"] == 2
    assert body["command"] == "steelyard show"


def test_a_wrong_choice_is_refused_with_what_is_wanted(pages: Pages) -> None:
    answer = pages.get("/runs?sort=magic")
    assert answer.status == 400
    assert "created, name" in answer.text


def test_keys_move_and_open(browser: Browser, pages: Pages) -> None:
    seen = look(browser, pages.at("/runs?q=ordinary"))
    seen.page.keyboard.press("j")
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_url("**/runs/" + pages.runs["ordinary"])
    seen.page.keyboard.press("?")
    assert "Next and previous row" in seen.page.inner_text("dialog")
    seen.page.keyboard.press("Escape")
    seen.page.keyboard.press("g")
    seen.page.keyboard.press("r")
    seen.page.wait_for_url("**/runs")
    seen.sound()
    seen.page.context.close()


def test_the_leader_of_each_run_is_that_of_its_summary(pages: Pages) -> None:
    run = pages.runs["ordinary"]
    rows = {r["run"]: r for r in csv.DictReader(io.StringIO(pages.get("/runs?format=csv").text))}
    board = json.loads(pages.get(f"/runs/{run}?format=json").text)
    first = board["lines"][0]
    assert rows[run]["leader"] == first["contestant"]
    assert float(rows[run]["score"]) == first["estimate"]["value"]
    assert float(rows[run]["low"]) == first["estimate"]["interval"]["low"]
    row = next(
        r
        for r in json.loads(pages.get("/runs?format=json").text)["groups"][0]["rows"]
        if r["info"]["run"] == run
    )
    assert row["leader"]["sentence"] == board["sentence"]
    assert row["leader"]["ahead"] == sum(v["verdict"] == "better" for v in board["versus"])
    text = pages.get("/runs").text
    assert f"{100 * first['estimate']['value']:.1f}" in text
    assert "ahead of" in text


def test_a_run_without_an_answer_names_no_leader(tmp_path: Path) -> None:
    suite = ListSuite("s", [Task("a", "Q?", "1")])
    specs = (ContestantSpec("m", "endpoint", model="m"), ContestantSpec("n", "endpoint", model="n"))
    with closing(open_ledger(str(tmp_path / "l"))) as ledger:
        plan = Plan((SuiteUse("s.jsonl", name="s", version=suite.header.version),), specs, name="empty")
        with ledger.create_run(plan, [suite], name="empty") as writer:
            writer.close("stopped")
    with served(tmp_path / "l") as found:
        assert "no graded trial" in found.get("/runs").text
        assert "unknown: no graded trial" in found.get("/runs?format=csv").text
        for path in ("", "/grid", "/diff", "/failures", "/task?t=0"):
            assert found.get(f"/runs/last{path}").status == 200
        missing = found.get("/runs/last/trace?t=0")
        assert missing.status == 404
        assert "m on task number 0" in missing.text


def test_a_run_whose_process_went_away_says_so_and_how_to_go_on(tmp_path: Path) -> None:
    suite = ListSuite("s", [Task("a", "Q?", "1"), Task("b", "R?", "2")])
    specs = (ContestantSpec("m", "endpoint", model="m"),)
    with closing(open_ledger(str(tmp_path / "l"))) as ledger:
        plan = Plan((SuiteUse("s.jsonl", name="s", version=suite.header.version),), specs, name="killed")
        with ledger.create_run(plan, [suite], name="killed") as writer:
            reply, score = Reply(text="1"), Score(Outcome.PASSED, 1.0, extracted="1")
            writer.append([Intent(0, 0, 0, 0, 1, seed=1), Result(0, 0, 0, 0, 2, "contestant", True, 0, reply),
                           Scored(0, 0, 0, 0, "exact@1", score)])  # fmt: skip
    with served(tmp_path / "l", named=str(tmp_path / "l")) as found:
        run = json.loads(found.get("/runs?format=json").text)["groups"][0]["rows"][0]
        assert run["info"]["status"] == "open"
        assert (run["leader"]["done"], run["leader"]["planned"]) == (1, 2)
        assert ">1 / 2<" in found.get("/runs").text
        text = found.get("/runs/last").text
        assert "ended without closing it" in text
        assert f"steelyard resume {run['info']['run']} --ledger {tmp_path / 'l'}" in text


def test_many_runs_come_at_once_and_their_leaders_follow(tmp_path: Path) -> None:
    """With no time to spare only what is known is shown; the page says so and asks again."""
    ledgers.ordinary(tmp_path / "l", tasks=3, repeats=1)
    with closing(open_ledger(str(tmp_path / "l"), create=False)) as ledger:
        desk = Desk(ledger)
        run = desk.run("last")
        assert _leader(desk, run, time.monotonic() - 1) is NOT_YET
        worked_out = _leader(desk, run, time.monotonic() + 60)
        assert isinstance(worked_out, Leader)
        assert _leader(desk, run, time.monotonic() - 1) == worked_out
