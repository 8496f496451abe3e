"""View 4: the trace of a trial, of any size."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, expect
from tests.web.browsing import check_everywhere, look
from tests.web.kit import Pages, served

from steelyard.ledger import open_ledger
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import Message, ToolCall
from steelyard.schema.plan import Plan, SuiteUse
from steelyard.schema.record import Intent, Result, Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import PASSED
from steelyard.schema.task import Task
from steelyard.schema.trace import MEDIA_TYPE, Event, Happened, Said, Trace
from steelyard.testing.ledger_rows import ListSuite
from steelyard.web.markup import guess


@pytest.mark.parametrize("which", ["ordinary", "hostile"])
def test_the_page_keeps_every_promise(browser: Browser, pages: Pages, which: str) -> None:
    check_everywhere(browser, pages.at(f"/runs/{pages.runs[which]}/trace?t=2&c=0&k=0"))


@pytest.mark.parametrize("which", ["inspect_tools", "swe_agent", "tau"])
def test_real_traces_are_shown(browser: Browser, imported_pages: Pages, which: str) -> None:
    check_everywhere(browser, imported_pages.at(f"/runs/{imported_pages.runs[which]}/trace"))


def test_a_line_of_ten_megabytes_is_read_in_parts(pages: Pages) -> None:
    run = pages.runs["hostile"]
    body = json.loads(pages.get(f"/runs/{run}/trace?t=8&c=0&k=0&format=json").text)
    assert body["n_events"] == 6
    body = json.loads(pages.get(f"/runs/{run}/task?t=9&format=json").text)
    assert len(body["columns"][0]["trials"][0]["answer"]) > 10_000_000
    assert len(pages.get(f"/runs/{run}/task?t=9").body) < 200_000


def test_held_out_traces_stay_hidden(pages: Pages) -> None:
    run = pages.runs["ordinary"]
    for path in ("trace?t=5", "trace?t=5&format=json", "trace/text?t=5&rest=e0.text", "trace/rendered?t=5"):
        answer = pages.get(f"/runs/{run}/{path}")
        assert answer.status == 200
        assert "What is 5" not in answer.text
        assert "Answer:" not in answer.text


def test_a_search_finds_events_and_links_to_them(browser: Browser, pages: Pages) -> None:
    run = pages.runs["ordinary"]
    body = json.loads(pages.get(f"/runs/{run}/trace?t=3&c=0&k=0&q=CALCULATOR&format=json").text)
    assert body["found"] == [2, 3, 4, 5]
    seen = look(browser, pages.at(f"/runs/{run}/trace?t=3&c=0&k=0"))
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("Step 1")
    with seen.page.expect_navigation():
        seen.page.keyboard.press("Enter")
    seen.page.click(".hits a")
    assert seen.page.url.endswith("#e4")
    seen.sound()
    seen.page.context.close()


def test_keys_unfold_and_walk(browser: Browser, pages: Pages) -> None:
    seen = look(browser, pages.at(f"/runs/{pages.runs['ordinary']}/trace?t=3&c=0&k=0"))
    seen.page.keyboard.press("e")
    assert seen.page.locator("#steps details:not([open])").count() == 0
    seen.page.keyboard.press("j")
    seen.page.keyboard.press("j")
    assert seen.page.get_attribute(".step.here", "id") == "e1"
    with seen.page.expect_navigation():
        seen.page.keyboard.press("]")
    assert "k=1" in seen.page.url
    seen.page.context.close()


@pytest.mark.parametrize("query", ["t=99999", "c=17", "k=44", "contestant=nobody", "t=x"])
def test_a_trial_that_is_not_there(pages: Pages, query: str) -> None:
    assert pages.get(f"/runs/{pages.runs['ordinary']}/trace?{query}").status in (400, 404)


@pytest.mark.parametrize("rest", ["", "p9", "e99.text", "../etc", "e0.call7", "p-1"])
def test_names_of_texts_that_no_page_gave(pages: Pages, rest: str) -> None:
    assert pages.get(f"/runs/{pages.runs['ordinary']}/trace/text?t=3&c=0&rest={rest}").status in (
        200,
        400,
        404,
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One trial of 10,000 events, and one with a message of 100 MB."""
    place = tmp_path_factory.mktemp("large") / "ledger"
    ledger = open_ledger(str(place))
    suite = ListSuite("s", [Task("many", "go", "x"), Task("long", "go", "x")])
    plan = Plan((SuiteUse("s.jsonl", name="s"),), (ContestantSpec("m", "endpoint", model="m"),), name="large")
    events: list[Event] = []
    for i in range(5_000):
        events.append(
            Said(
                Message("assistant", f"step {i}", (ToolCall(str(i), "bash", '{"command": "ls"}'),)),
                at=10**18 + i,
            )
        )
        events.append(
            Said(Message("tool", f"output {i}\n" * (1 + i % 30), tool_call_id=str(i)), at=10**18 + i)
        )
    needle = "x" * 60_000_000 + "\nneedle\n" + "0123456789 \u20ac\n" * 3_000_000
    long = (
        Said(Message("user", "go")),
        Said(Message("tool", needle)),
        Happened("flag", "looked for hidden tests"),
    )
    with ledger.create_run(plan, [suite], name="large") as writer:
        for t, trace in enumerate((Trace(tuple(events)), Trace(long))):
            digest = writer.put(msgspec.json.encode(trace), MEDIA_TYPE)
            writer.append(
                [
                    Intent(0, t, 0, 0, 1, 1),
                    Result(0, t, 0, 0, 2, "contestant", True, 0, Reply("done"), trace=digest),
                    Scored(0, t, 0, 0, "exact@1", PASSED),
                ]
            )
        writer.close("complete")
    ledger.close()
    return place


def test_ten_thousand_events_scroll_with_few_of_them_held(browser: Browser, large: Path) -> None:
    with served(large) as pages:
        started = time.monotonic()
        assert pages.get("/runs/last/trace?t=0").status == 200
        took = time.monotonic() - started
        print(f"10,000 events: {took:.2f} s")
        assert took < 5
        seen = look(browser, pages.at("/runs/last/trace?t=0"))
        for _ in range(12):
            seen.page.mouse.wheel(0, 40_000)
            seen.page.wait_for_timeout(60)
        seen.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        seen.page.wait_for_selector("#e9999", timeout=20_000)
        assert seen.page.locator(".step").count() < 1_000
        seen.sound()
        seen.page.context.close()
        plain = look(browser, pages.at("/runs/last/trace?t=0"), script=False)
        plain.page.click("text=events after")
        assert plain.page.locator("#e40").count() == 1
        plain.page.context.close()


def test_an_events_address_leads_to_it_from_anywhere(browser: Browser, large: Path) -> None:
    """By the link on its number, copied; by its anchor alone; and by the link without script."""
    with served(large) as pages:
        for address in ("/runs/last/trace?t=0#e7003", "/runs/last/trace?t=0&at=7003#e7003"):
            seen = look(browser, pages.at(address))
            seen.page.wait_for_selector("#e7003", timeout=20_000)
            expect(seen.page.locator("#e7003")).to_be_in_viewport()
            seen.sound()
            seen.page.context.close()
        seen = look(browser, pages.at("/runs/last/trace?t=0&from=5000"))
        seen.page.click("#e5002 .num")
        assert seen.page.url.endswith("/runs/last/trace?t=0&at=5002#e5002")
        assert "named" in (seen.page.get_attribute("#e5002", "class") or "")
        seen.page.reload()
        expect(seen.page.locator("#e5002")).to_be_in_viewport()
        seen.page.context.close()
        plain = look(browser, pages.at("/runs/last/trace?t=0&from=5000"), script=False)
        plain.page.click("#e5002 .num")
        expect(plain.page.locator("#e5002")).to_be_in_viewport()
        plain.page.context.close()


def test_a_message_of_a_hundred_megabytes_opens_and_is_read_in_parts(browser: Browser, large: Path) -> None:
    with served(large) as pages:
        started = time.monotonic()
        first = pages.get("/runs/last/trace?t=1")
        took = time.monotonic() - started
        print(f"100 MB: {took:.2f} s, {len(first.body)} bytes")
        assert first.status == 200
        assert len(first.body) < 100_000
        assert took < 5
        found = json.loads(pages.get("/runs/last/trace?t=1&q=needle&format=json").text)
        assert found["found"] == [1]
        seen = look(browser, pages.at("/runs/last/trace?t=1"))
        seen.page.click(".output summary")
        before = len(seen.page.inner_text("#e1"))
        seen.page.click("#e1 .rest")
        seen.page.wait_for_function(f"document.getElementById('e1').innerText.length > {before} + 30000")
        assert "flag" in (seen.page.text_content("#e2") or "")
        seen.sound()
        seen.page.context.close()
        part = json.loads(pages.get("/runs/last/trace/text?t=1&rest=p0&start=61000000&format=json").text)
        assert "needle" not in part["text"]
        assert part["next_start"] > 61_000_000


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<!doctype html><p>x", "html"),
        ("```html\n<div>x</div>\n```", "html"),
        ('<svg xmlns="http://www.w3.org/2000/svg"/>', "svg"),
        ("# Title\n\n- one\n- two", "markdown"),
        ("just text", ""),
        ("a < b and c > d", ""),
    ],
)
def test_what_an_answer_looks_like(text: str, kind: str) -> None:
    assert guess(text) == kind


def test_a_rendered_answer_has_no_power(pages: Pages) -> None:
    answer = pages.get(f"/runs/{pages.runs['hostile']}/trace/rendered?t=4&c=0")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
