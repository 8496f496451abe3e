"""View 12: annotation queues, by keyboard, by several people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.web.browsing import check_everywhere, look
from tests.web.judges import Visitor, make
from tests.web.kit import Pages, served

from steelyard.ledger import open_ledger
from steelyard.testing.ledgers import ABILITY


@pytest.fixture
def queues(tmp_path: Path) -> Iterator[Pages]:
    run = make(tmp_path)
    with served(tmp_path, {"run": run}) as pages:
        yield pages


def rows(place: Path, name: str) -> list[dict[str, object]]:
    ledger = open_ledger(str(place), create=False)
    try:
        found = [json.loads(row) for row in ledger.chain("annotations", name)]
    finally:
        ledger.close()
    return [r for r in found if r["type"] == "annotation"]


def test_the_pages_keep_every_promise(browser: Browser, queues: Pages) -> None:
    for path in ("/annotate/grade", "/annotate/rubric", "/annotate/grade/figures"):
        check_everywhere(browser, queues.at(path))


def test_labels_by_key_undone_skipped_and_counted(browser: Browser, queues: Pages, tmp_path: Path) -> None:
    seen = look(browser, queues.at("/annotate/grade"))
    page = seen.page
    assert not any(name in page.content() for name in ABILITY)
    for key in ("p", "x", "z", "p"):
        with page.expect_navigation():
            page.keyboard.press(key)
        page.wait_for_selector("text=Kept.")
    assert [r.get("labels", []) for r in rows(tmp_path, "grade")] == [["pass"], ["fail"], [], ["pass"]]
    page.keyboard.press("u")
    page.wait_for_url("**item=**")
    assert page.locator('button[aria-pressed="true"]').inner_text().startswith("pass")
    page.keyboard.press("x")
    page.wait_for_url("**kept=1**")
    last = rows(tmp_path, "grade")[-1]
    assert last["labels"] == ["fail"]
    assert last["signature"]
    page.goto(queues.at("/annotate/grade/figures"))
    assert "3" in page.inner_text("main")
    seen.sound()
    page.context.close()


def test_two_people_share_a_queue_and_see_nothing_of_each_other(browser: Browser, queues: Pages) -> None:
    one, two = look(browser, queues.at("/annotate/grade")), look(browser, queues.at("/annotate/grade"))
    for n in range(40):
        done = 0
        for seen in (one, two):
            if not seen.page.locator("form.labels").count():
                done += 1
                continue
            with seen.page.expect_navigation():
                seen.page.keyboard.press("px"[n % 2])
        if done == 2:
            break
    text = Visitor(queues).get("/annotate/grade/figures").text
    figures = json.loads(Visitor(queues).get("/annotate/grade/figures?format=json").text)
    assert figures["labels"] == figures["wanted"]
    assert len(figures["progress"]) == 2
    assert figures["agreement"][0]["pairs"]
    assert "Krippendorff" in text
    for seen in (one, two):
        seen.page.context.close()


def test_a_rubric_is_a_form_of_its_own_and_works_without_script(
    browser: Browser, queues: Pages, tmp_path: Path
) -> None:
    seen = look(browser, queues.at("/annotate/rubric"), script=False)
    seen.page.check("input[name=p0][value=met]")
    seen.page.check("input[name=p1][value=rude]")
    seen.page.fill("input[name=note]", "<b>why</b>")
    seen.page.click("button.primary")
    seen.page.wait_for_url("**kept=1**")
    (row,) = rows(tmp_path, "rubric")
    assert (row["labels"], row["note"]) == (["met", "rude"], "<b>why</b>")
    seen.page.context.close()


def test_strangers_and_missing_labels_are_refused(queues: Pages, tmp_path: Path) -> None:
    me, other = Visitor(queues), Visitor(queues)
    mine = me.fields("/annotate/rubric", "labels")
    other.get("/annotate/rubric")
    theirs = other.fields("/annotate/rubric", "labels")
    path = "/annotate/rubric/label"
    good = {"p0": "met", "p1": "fine"}
    assert me.post(path, {**mine, **good}, "https://evil.example").status == 403
    assert me.post(path, {**theirs, **good, "csrf": mine["csrf"]}).status == 400
    assert me.post(path, {**mine, "p0": "met"}).status == 400
    assert me.post(path, {**mine, "p0": "met", "p1": "nonsense"}).status == 400
    assert rows(tmp_path, "rubric") == []
    assert me.post(path, {**mine, **good}).status == 303
    assert other.get("/annotate/rubric?item=99").status == 400
    assert me.get("/annotate/none").status == 404


def test_arenas_and_queues_are_opened_on_the_page(queues: Pages) -> None:
    me = Visitor(queues)
    for form, to in (("/arena", "/arena/new-one"), ("/annotate", "/annotate/new-one")):
        fields = me.fields("/arena", f'action="{form}"')
        made = me.post(form, {**fields, "name": "new-one", "run": queues.runs["run"], "sample": "5"})
        assert (made.status, made.headers["location"]) == (303, to)
        assert me.get(to).status == 200
        assert me.post(form, {**fields, "name": "new-one", "run": queues.runs["run"]}).status == 404
        assert me.post(form, {**fields, "name": "../x", "run": queues.runs["run"]}).status == 404


def test_a_rubric_is_answered_by_digits_alone(browser: Browser, queues: Pages) -> None:
    seen = look(browser, queues.at("/annotate/rubric"))
    page = seen.page
    points = page.locator("fieldset[data-point]")
    assert points.nth(0).evaluate("x => x.classList.contains('here')")
    page.keyboard.press("1")
    page.keyboard.press("7")  # no such label: nothing happens
    page.keyboard.press("3")
    chosen = "[...document.querySelectorAll('fieldset input:checked')].map(x => x.value)"
    assert page.evaluate(chosen) == ["met", "rude"]
    page.keyboard.press("k")  # from the button back to the last point, and to the first
    page.keyboard.press("k")
    page.keyboard.press("2")
    assert page.evaluate(chosen) == ["not met", "rude"]
    page.keyboard.press("s")
    page.wait_for_url("**kept=1**")
    page.keyboard.press("u")
    page.wait_for_url("**item=**")
    assert page.evaluate(chosen) == ["not met", "rude"]
    seen.sound()
    page.context.close()
