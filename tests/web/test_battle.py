"""View 13: battles. Blind, by keyboard and without script, two people at once, nothing for other sites."""

from __future__ import annotations

import json
import threading
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
def arena(tmp_path: Path) -> Iterator[Pages]:
    run = make(tmp_path)
    with served(tmp_path, {"run": run}) as pages:
        yield pages


def votes(place: Path) -> list[dict[str, object]]:
    ledger = open_ledger(str(place), create=False)
    try:
        return [json.loads(row) for row in ledger.chain("votes", "ours")]
    finally:
        ledger.close()


def test_every_page_of_it_keeps_every_promise(browser: Browser, arena: Pages) -> None:
    for path in ("/arena", "/arena/ours", "/arena/ours/ratings"):
        check_everywhere(browser, arena.at(path))


def test_a_vote_by_key_reveals_the_names_and_moves_the_ranking(
    browser: Browser, arena: Pages, tmp_path: Path
) -> None:
    seen = look(browser, arena.at("/arena/ours"))
    page = seen.page
    for n in range(9):  # the tenth vote would set the checks off: nobody reads this fast
        before = page.inner_text("main") + page.content()
        assert not any(name in before for name in ABILITY), "a contestant is named before the vote"
        page.keyboard.press("abtx"[n % 4])
        page.wait_for_url("**voted=**")
        after = page.inner_text("main")
        assert sum(name in after for name in ABILITY) >= 2
        if n < 8:
            page.keyboard.press("n")
            page.wait_for_url(lambda url: "voted=" not in url)
    assert len(votes(tmp_path)) == 9
    assert page.locator("table.moved tbody tr").count() == 4
    assert page.locator("table.moved svg.ibar line.band").count() == 4
    assert "steelyard rank ours" in page.inner_text("footer")
    seen.accessible()
    seen.sound()
    page.reload()
    assert "Your vote" in page.inner_text("main")
    page.context.close()


def test_two_tabs_of_one_person_make_one_vote_and_two_people_vote_at_once(
    browser: Browser, arena: Pages, tmp_path: Path
) -> None:
    one, two = look(browser, arena.at("/arena/ours")), look(browser, arena.at("/arena/ours"))
    other_tab = one.page.context.new_page()
    other_tab.goto(arena.at("/arena/ours"))
    one.page.keyboard.press("a")
    two.page.keyboard.press("b")
    one.page.wait_for_url("**voted=**")
    two.page.wait_for_url("**voted=**")
    other_tab.keyboard.press("x")
    other_tab.wait_for_url("**voted=**")
    assert "your first vote stands" in other_tab.inner_text("main")
    assert "A is better" in other_tab.inner_text("main")
    found = votes(tmp_path)
    assert sorted(v["winner"] for v in found) == ["left", "right"]
    assert len({v["voter"] for v in found}) == 2
    for seen in (one, two):
        seen.page.context.close()


def test_it_works_without_script(browser: Browser, arena: Pages, tmp_path: Path) -> None:
    seen = look(browser, arena.at("/arena/ours"), script=False)
    seen.page.click("button[value=tie]")
    seen.page.wait_for_url("**voted=**")
    assert "A tie" in seen.page.inner_text("main")
    assert [v["winner"] for v in votes(tmp_path)] == ["tie"]
    seen.page.context.close()


@pytest.mark.parametrize("phone", [False, True])
def test_every_button_of_the_ballot_is_there_to_be_clicked(
    browser: Browser, arena: Pages, tmp_path: Path, phone: bool
) -> None:
    seen = look(browser, arena.at("/arena/ours"), phone=phone)
    buttons = seen.page.locator("form.ballot button")
    boxes = [buttons.nth(n).bounding_box() for n in range(buttons.count())]
    assert len(boxes) == 5
    assert all(b is not None and b["x"] >= 0 and b["width"] > 40 for b in boxes), boxes
    before = seen.page.locator("form.ballot input[name=token]").get_attribute("value")
    with seen.page.expect_navigation():
        buttons.nth(4).click()
    assert seen.page.locator("form.ballot input[name=token]").get_attribute("value") != before
    assert votes(tmp_path) == []
    seen.page.context.close()


def test_other_sites_and_made_up_forms_get_nothing(arena: Pages, tmp_path: Path) -> None:
    me, other = Visitor(arena), Visitor(arena)
    mine = me.fields("/arena/ours", "ballot")
    theirs = other.fields("/arena/ours", "ballot")
    path = "/arena/ours/vote"
    for origin in ("https://evil.example", "null", "", f"http://localhost.evil:{arena.port}"):
        assert me.post(path, {**mine, "choice": "left"}, origin).status == 403
    assert me.post(path, {**mine, "csrf": theirs["csrf"], "choice": "left"}).status == 403
    assert me.post(path, {**mine, "csrf": "", "choice": "left"}).status == 403
    for token in (theirs["token"], "", "x.y", mine["token"][:-1]):
        assert me.post(path, {**mine, "token": token, "choice": "left"}).status == 400
    assert me.post(path, {**mine, "choice": "alpha-large"}).status == 400
    assert arena.get(f"{path}?choice=left").status in (404, 405)
    assert votes(tmp_path) == []
    battle = mine["token"].split(".")[0]
    assert me.get(f"/arena/ours?voted={battle}").status == 404
    assert other.get(f"/arena/ours/rendered?battle={battle}&side=left").status == 404
    assert other.get(f"/arena/ours/text?battle={battle}&side=left").status == 404
    assert me.get(f"/arena/ours/text?battle={battle}&side=left").status == 200
    assert me.post(path, {**mine, "choice": "left"}).status == 303
    assert other.get(f"/arena/ours?voted={battle}").status == 404
    assert me.get("/arena/none").status == 404


def test_the_same_form_sent_many_times_at_once_is_one_vote(arena: Pages, tmp_path: Path) -> None:
    me = Visitor(arena)
    mine = me.fields("/arena/ours", "ballot")
    codes: list[int] = []
    threads = [
        threading.Thread(
            target=lambda c=c: codes.append(me.post("/arena/ours/vote", {**mine, "choice": c}).status)
        )
        for c in ("left", "right", "tie", "both_bad") * 3
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert codes == [303] * 12
    assert len(votes(tmp_path)) == 1


def test_the_model_names_nobody_before_the_vote_and_downloads_do_not_either(arena: Pages) -> None:
    me = Visitor(arena)
    for form in ("json", "csv"):
        text = me.get(f"/arena/ours?format={form}").text
        assert not any(name in text for name in ABILITY)


def test_hostile_answers_do_nothing(browser: Browser, tmp_path: Path) -> None:
    make(tmp_path, hostile=True)
    with served(tmp_path) as pages:
        seen = look(browser, pages.at("/arena/evil"))
        for n in range(8):
            if not seen.page.locator("form.ballot").count():
                break
            for show in ("text", "rendered"):
                address = seen.page.url.split("?")[0] + f"?show={show}"
                seen.page.goto(address)
                seen.sound()
            seen.page.keyboard.press("ab"[n % 2])
            seen.page.wait_for_url("**voted=**")
            seen.sound()
            seen.page.keyboard.press("n")
            seen.page.wait_for_url(lambda url: "voted=" not in url)
        seen.page.goto(pages.at("/arena/evil/ratings"))
        seen.sound()
        seen.page.goto(pages.at("/annotate/evil"))
        seen.sound()
        seen.page.context.close()


def test_rendered_answers_come_in_a_sandbox() -> None:
    from steelyard.web.judged import form_of, rendered

    assert form_of("plain words") == "plain"
    assert form_of("# Title\n\n- one\n- two") == "markdown"
    assert form_of("<!DOCTYPE html><p>x") == "html"
    assert form_of("```svg\n<svg xmlns='x'/>\n```") == "svg"
    body = rendered("# Hi\n\n<script>alert(1)</script> [x](javascript:alert(1)) ![y](http://a.b/c.png)")
    assert body.sandboxed
    assert b"<script>alert" not in body.content
    assert b"javascript:" not in body.content.split(b"</style>")[1].replace(b"[x](javascript:alert(1))", b"")
    assert b"<h1>Hi</h1>" in body.content


def test_quarantined_votes_can_be_released_on_the_page(arena: Pages, tmp_path: Path) -> None:
    me = Visitor(arena)
    for n in range(10):
        form = me.fields("/arena/ours", "ballot")
        me.post("/arena/ours/vote", {**form, "choice": ("left", "right")[n % 2]})
    shown = json.loads(me.get("/arena/ours/ratings?format=json").text)
    assert shown["n_held"] == 10
    assert shown["held"][0]["reason"] == "too_fast"
    form = me.fields("/arena/ours/ratings", "release")
    assert me.post("/arena/ours/release", form).status == 303
    assert json.loads(me.get("/arena/ours/ratings?format=json").text)["n_held"] == 0
    assert me.post("/arena/ours/release", form).status == 404
