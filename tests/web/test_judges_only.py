"""A server for people who judge and do nothing else: `view --only`. What is blind stays blind by whatever door."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser
from tests.web.browsing import check_everywhere, look
from tests.web.judges import Visitor, make
from tests.web.kit import Pages, served

from steelyard.cli.main import main
from steelyard.errors import UsageError
from steelyard.ledger import open_ledger
from steelyard.testing.ledgers import ABILITY
from steelyard.web.people import judged
from steelyard.web.registry import find_views

ONLY = (("arena", "ours"), ("queue", "grade"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("only")
    make(found)
    return found


@pytest.fixture(scope="module")
def pages(place: Path) -> Iterator[Pages]:
    with served(place, only=ONLY) as found:
        yield found


def test_the_pages_keep_every_promise_and_begin_with_the_first_arena(browser: Browser, pages: Pages) -> None:
    for path in ("/", "/arena/ours", "/annotate/grade"):
        check_everywhere(browser, pages.at(path))
    assert pages.get("/").headers["location"] == "/arena/ours"


def test_nothing_else_of_the_ledger_is_there(pages: Pages, place: Path) -> None:
    ledger = open_ledger(str(place), create=False)
    run = next(iter(ledger.runs())).run
    ledger.close()
    registry = find_views()
    fill = {"{run}": run, "{arena}": "ours", "{queue}": "grade"}
    closed = 0
    for found in (*registry.views.values(), *registry.raws.values()):
        if found.judges:
            continue
        path = found.path
        for hole, name in fill.items():
            path = path.replace(hole, name)
        for form in ("", "?format=json", "?format=csv"):
            answer = pages.get(path + form)
            assert answer.status in (404, 405), path
            assert not any(name in answer.text for name in ABILITY)
        closed += 1
    assert closed > 15
    for path in (
        "/annotate/rubric",
        "/arena/other",
        "/arena/grade",
        "/annotate/ours",
        f"/runs/{run}",
        "/arena/ours/",
    ):
        assert pages.get(path).status in (404, 307), path
    me = Visitor(pages)
    form = me.fields("/arena/ours", "ballot")
    assert me.post("/arena/ours/release", {**form, "first": "x"}).status in (404, 405)
    assert me.post("/annotate/rubric/label", {**form, "p0": "met"}).status == 404


def test_no_name_is_in_anything_that_a_voter_gets_before_the_vote(pages: Pages, place: Path) -> None:
    me = Visitor(pages)
    got = [
        me.get("/arena/ours"),
        me.get("/annotate/grade"),
        pages.get("/nowhere"),
        pages.get("/arena/nowhere"),
    ]
    got += [me.get(f"/arena/ours?format={f}") for f in ("json", "csv")]
    got += [me.get(f"/annotate/grade?format={f}") for f in ("json", "csv")]
    battle = me.fields("/arena/ours", "ballot")["token"].split(".")[0]
    for side in ("left", "right"):
        got += [me.get(f"/arena/ours/{what}?battle={battle}&side={side}") for what in ("text", "rendered")]
    for answer in got:
        everything = answer.text + json.dumps(answer.headers)
        assert not any(name in everything for name in ABILITY)
        assert str(place) not in everything
        assert "etag" not in answer.headers
        assert "last-modified" not in answer.headers
        assert not re.search(r"\b\d{8}-\d{6}-[0-9a-f]{6}\b", everything), "a run's id"
    model = json.loads(me.get("/arena/ours?format=json").text)
    assert not {"contestant", "model", "cost", "usage", "seconds", "repeat", "task"} & set(model["left"])
    # the two sides differ in nothing but what was said
    assert set(model["left"]) == set(model["right"])
    shape = [re.sub(r"side=(left|right)", "", a) for a in re.findall(r'(?:src|href)="(/arena/[^"]*)"', me.get("/arena/ours").text)]  # fmt: skip
    assert all(ABILITY.keys().isdisjoint(re.split(r"\W", a)) for a in shape)
    assert me.get(f"/arena/ours?voted={battle}").status == 404, "nothing is revealed before the vote"


def test_several_people_give_their_names_and_need_the_token(place: Path) -> None:
    with served(place, only=ONLY, token=True) as guarded:
        assert guarded.get("/arena/ours").status == 401
        assert guarded.get("/?token=guessed").status == 403
        token = guarded.url.partition("?token=")[2]
        names = {}
        for name in ("Zoë", "<b>Ann</b>", "李"):
            me = Visitor(guarded)
            let_in = guarded.get(f"/annotate/grade?token={token}")
            me.cookie = next(c for c in let_in.cookies if "token" in c).split(";")[0]
            me.cookie += (
                "; " + next(c for c in me.get("/annotate/grade").cookies if "session" in c).split(";")[0]
            )
            form = me.fields("/annotate/grade", "whoami")
            assert me.post("/annotate/grade/name", {**form, "name": name}).status == 303
            assert (
                me.post("/annotate/grade/name", {**form, "name": name}, "http://evil.example").status == 403
            )
            form = me.fields("/annotate/grade", "labels")
            assert me.post("/annotate/grade/label", {**form, "p0": "pass"}).status == 303
            names[name] = me.cookie
    said = json.loads(
        CliRunner().invoke(main, ["annotate", "show", "grade", "--ledger", str(place), "--json"]).stdout
    )
    assert {p["name"] for p in said["progress"]} == set(names)
    assert all(p["labelled"] == 1 for p in said["progress"])
    assert said["forged"] == []


def test_a_vote_goes_through_and_shows_the_ranking_without_a_way_out(browser: Browser, pages: Pages) -> None:
    seen = look(browser, pages.at("/arena/ours"), phone=True)
    seen.page.click("button[value=left]")
    seen.page.wait_for_url("**voted=**")
    seen.fits()
    assert sum(name in seen.page.inner_text("main") for name in ABILITY) >= 2
    links = seen.page.eval_on_selector_all("a[href]", "found => found.map(a => a.getAttribute('href'))")
    known = ("/arena/ours", "/annotate/grade", "#", "/")
    assert all(a == "/" or a.startswith(known[:3]) for a in links), links
    assert not any("ratings" in a or "figures" in a for a in links)
    assert seen.page.locator("footer").count() == 0
    seen.sound()
    seen.page.context.close()


def test_names_that_are_not_there_are_refused(place: Path) -> None:
    ledger = open_ledger(str(place), create=False)
    assert judged(ledger, ("ours", "grade", "ours")) == ONLY
    with pytest.raises(UsageError, match="no arena and no queue goes by that name"):
        judged(ledger, ("ours", "theirs"))
    ledger.close()
