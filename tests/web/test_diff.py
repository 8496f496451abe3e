"""View 5: two contestants, of one run or of two."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser
from tests.web.browsing import check_everywhere, look
from tests.web.kit import Pages, served

from steelyard.decide.compare import compare
from steelyard.ledger import open_ledger
from steelyard.ledger.runs import results_of_run
from steelyard.testing import ledgers
from steelyard.unknown import plain
from steelyard.web.words import MOST, word_diff


@pytest.mark.parametrize("which", ["ordinary", "hostile"])
def test_the_page_keeps_every_promise(browser: Browser, pages: Pages, which: str) -> None:
    check_everywhere(browser, pages.at(f"/runs/{pages.runs[which]}/diff?t=0"))


def test_a_real_run_of_one_contestant_says_so(browser: Browser, imported_pages: Pages) -> None:
    answer = imported_pages.get(f"/runs/{imported_pages.runs['tau']}/diff")
    assert answer.status == 200
    assert "the run has one contestant: choose another" in answer.text
    check_everywhere(browser, imported_pages.at(f"/runs/{imported_pages.runs['tau']}/diff"))


def test_twice_the_same_contestant_is_said_and_not_compared(pages: Pages) -> None:
    answer = pages.get(f"/runs/{pages.runs['ordinary']}/diff?a=alpha-large&b=alpha-large")
    assert answer.status == 200
    assert "not compared with itself" in answer.text


def test_a_comparison_says_where_it_is_not_the_summarys(pages: Pages) -> None:
    """The summary counts every suite once; the comparison every task."""
    body = json.loads(pages.get(f"/runs/{pages.runs['ordinary']}/diff?format=json").text)
    assert body["notes"] == ["every task counts once here; in the summary every suite counts once"]


def test_the_verdict_is_that_of_the_command(pages: Pages, ledger_place: Path) -> None:
    run = pages.runs["ordinary"]
    ledger = open_ledger(str(ledger_place), create=False)
    both = results_of_run(ledger, run, amounts=True).of(["gamma-small", "alpha-large"])
    ledger.close()
    body = json.loads(pages.get(f"/runs/{run}/diff?a=gamma-small&b=alpha-large&format=json").text)
    assert body["comparison"] == plain(compare(both, "gamma-small").items[0])
    assert body["comparison"]["verdict"] == "better"
    assert "--baseline gamma-small --contestant alpha-large" in body["command"]


def test_losses_come_first_then_wins(pages: Pages) -> None:
    run = pages.runs["ordinary"]
    rows = json.loads(pages.get(f"/runs/{run}/diff?a=beta-medium&b=alpha-large&format=json").text)["rows"]
    found = [r["difference"] for r in rows]
    losses = [d for d in found if d < 0]
    assert losses
    assert found[: len(losses)] == sorted(losses)
    assert found[len(losses) :] == sorted((d for d in found if d > 0), reverse=True)
    wins = json.loads(pages.get(f"/runs/{run}/diff?a=beta-medium&b=alpha-large&show=wins&format=json").text)
    assert [r["difference"] for r in wins["rows"]] == found[len(losses) :]


def test_changing_sides_changes_signs(pages: Pages) -> None:
    run = pages.runs["ordinary"]
    there = json.loads(pages.get(f"/runs/{run}/diff?a=beta-medium&b=alpha-large&show=all&format=json").text)
    back = json.loads(pages.get(f"/runs/{run}/diff?a=alpha-large&b=beta-medium&show=all&format=json").text)
    one = {r["t"]: r["difference"] for r in there["rows"]}
    assert one == pytest.approx({r["t"]: -r["difference"] for r in back["rows"]})
    assert there["comparison"]["paired"]["wins"] == back["comparison"]["paired"]["losses"]


def test_two_runs_are_joined_by_suite_and_id(browser: Browser, tmp_path: Path) -> None:
    first = ledgers.ordinary(tmp_path / "l", name="monday", tasks=12)
    second = ledgers.ordinary(tmp_path / "l", name="tuesday", tasks=18, seed=8)
    with served(tmp_path / "l", {"a": first, "b": second}) as two:
        url = f"/runs/{first}/diff?with={second}&a=gamma-small&b=gamma-small"
        body = json.loads(two.get(url + "&format=json&show=all").text)
        assert body["n_common"] == 24
        assert body["left"]["name"] == "gamma-small (monday)"
        assert body["comparison"]["verdict"] == "undecided"
        assert any("another version" in note for note in body["notes"])
        check_everywhere(browser, two.at(url))


def test_held_out_answers_stay_hidden(pages: Pages) -> None:
    page = pages.get(f"/runs/{pages.runs['ordinary']}/diff?t=5").text
    assert "(held out)" in page
    assert "Answer:" not in page


def test_the_next_trial_is_a_link(browser: Browser, pages: Pages) -> None:
    seen = look(browser, pages.at(f"/runs/{pages.runs['ordinary']}/diff?t=3"))
    seen.page.click("text=next trial")
    assert "k=1" in seen.page.url
    assert "trial 1, one of 3" in seen.page.inner_text("#texts")
    seen.page.context.close()


@given(st.text("ab \n.", max_size=60), st.text("ab \n.", max_size=60))
def test_pieces_give_both_texts_back(left: str, right: str) -> None:
    pieces = word_diff(left, right)
    assert "".join(p.text for p in pieces if p.kind != "right") == left
    assert "".join(p.text for p in pieces if p.kind != "left") == right


def test_very_long_texts_are_not_compared_word_by_word() -> None:
    left, right = "a b\n" * (3 * MOST), "a c\n" * (3 * MOST)
    assert [p.kind for p in word_diff(left, right)] == ["left", "right"]
    assert word_diff(left, left)[0].kind == "same"


def test_answers_of_two_runs_lead_to_the_traces_of_each(tmp_path: Path) -> None:
    place = tmp_path / "l"
    before = ledgers.ordinary(place, tasks=12, repeats=2, name="before", seed=3)
    after = ledgers.ordinary(place, tasks=6, repeats=2, name="after")
    with served(place) as found:
        shared = json.loads(found.get(f"/runs/{before}/diff?with={after}&show=all&format=json").text)["rows"]
        word = next(r for r in shared if r["task"] == "word-01")
        assert word["t"] != word["other"]
        text = found.get(f"/runs/{before}/diff?with={after}&a=alpha-large&b=alpha-large&t={word['t']}").text
        for run, t in ((before, word["t"]), (after, word["other"])):
            link = f"/runs/{run}/trace?t={t}&amp;c=0&amp;k=0"
            assert link in text
            assert "word-01" in found.get(unescape(link)).text
