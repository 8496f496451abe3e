"""View 3: tasks against contestants. View 6: one task, answers side by side."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from playwright.sync_api import Browser
from tests.web.browsing import check_everywhere, look
from tests.web.kit import Pages

from steelyard.decide.tasktable import task_table
from steelyard.stats.lifecycle import task_states
from steelyard.web.dots import MOST, dots, shares


@pytest.mark.parametrize("which", ["ordinary", "hostile"])
def test_both_pages_keep_every_promise(browser: Browser, pages: Pages, which: str) -> None:
    check_everywhere(browser, pages.at(f"/runs/{pages.runs[which]}/grid?sort=disagreement"))
    check_everywhere(browser, pages.at(f"/runs/{pages.runs[which]}/task?t=0"))


@pytest.mark.parametrize("which", ["inspect", "inspect_tools", "swe_agent", "tau"])
def test_imported_runs_have_both(browser: Browser, imported_pages: Pages, which: str) -> None:
    check_everywhere(browser, imported_pages.at(f"/runs/{imported_pages.runs[which]}/grid?sort=flips"))
    check_everywhere(browser, imported_pages.at(f"/runs/{imported_pages.runs[which]}/task?t=0"))


def test_more_trials_than_marks_are_counted_beside_them() -> None:
    assert '<span class="of">24/50</span>' in dots((24, 0, 0, 25, 1))
    assert "of" not in dots((3, 0, 0, 2, 0)).replace("role", "")


def grid(pages: Pages, query: str) -> dict[str, object]:
    answer = pages.get(f"/runs/{pages.runs['ordinary']}/grid?format=json&{query}")
    assert answer.status == 200, answer.text
    found = json.loads(answer.text)
    assert isinstance(found, dict)
    return found


def tasks(pages: Pages, query: str) -> list[dict[str, object]]:
    rows = grid(pages, query)["rows"]
    assert isinstance(rows, list)
    return rows


def test_the_most_disputed_come_first(pages: Pages) -> None:
    found = [r["disagreement"] for r in tasks(pages, "sort=disagreement")]
    assert found == sorted(found, key=float, reverse=True)  # type: ignore[arg-type] # all are known in this run
    assert [r["solved"] for r in tasks(pages, "sort=solved")] == sorted(r["solved"] for r in tasks(pages, ""))  # type: ignore[type-var]


def test_filters_are_in_the_address(pages: Pages) -> None:
    assert {r["suite"] for r in tasks(pages, "suite=words")} == {"words"}
    assert all("sum-1" in str(r["task"]) for r in tasks(pages, "q=sum-1"))
    small = tasks(pages, "c.size=small&c.kind=sum")
    assert small
    assert all(str(r["task"]) in {f"sum-{i:02}" for i in range(8)} for r in small)
    assert len(tasks(pages, "contestant=alpha-large")[0]["cells"]) == 1  # type: ignore[arg-type]
    for wrong in ("suite=none", "c.size=huge", "c.nothing=1", "sort=name", "contestant=nobody", "page=0"):
        assert pages.get(f"/runs/{pages.runs['ordinary']}/grid?{wrong}").status in (400, 404), wrong


def test_the_csv_holds_every_matching_task(pages: Pages) -> None:
    body = pages.get(f"/runs/{pages.runs['ordinary']}/grid?format=csv&suite=sums").text
    rows = list(csv.DictReader(io.StringIO(body)))
    assert len(rows) == 24 * 4
    assert (
        sum(int(r["passed"]) + int(r["failed"]) + int(r["abstained"]) + int(r["ungraded"]) for r in rows)
        == 24 * 4 * 3
    )


def test_figures_are_those_of_single_trials() -> None:
    rng = np.random.default_rng(3)
    passed = rng.integers(0, 2, (5, 40, 4))
    who, task, _ = np.indices(passed.shape)
    states = task_states(passed.ravel(), task.ravel(), who.ravel())
    sums = passed.sum(axis=2).astype(float)
    columns = {
        "graded": np.full(sums.shape, 4.0),
        "value_sum": sums,
        "passed": sums,
        "ungraded": np.zeros(sums.shape),
    }
    table = task_table(columns)
    by_task = {s.task: s for s in states}
    for t in range(40):
        assert table.solved[t] == pytest.approx(by_task[t].solved)
        assert table.flips[t] == pytest.approx(by_task[t].flips)
        assert table.disagreement[t] == pytest.approx(np.std(sums[:, t] / 4))


def test_a_task_without_a_graded_trial_is_unknown() -> None:
    nothing = np.zeros((2, 1))
    table = task_table({"graded": nothing, "value_sum": nothing, "passed": nothing, "ungraded": nothing + 1})
    assert np.isnan([table.solved[0], table.disagreement[0], table.flips[0]]).all()
    assert table.ungraded[0] == 2


def test_many_repeats_are_drawn_in_proportion() -> None:
    for counts in ((100, 0, 0, 1, 0), (50, 3, 2, 40, 5), (1, 1, 1, 1, 96), (0, 0, 0, 13, 0)):
        drawn = shares(counts)
        assert sum(drawn) == MOST
        assert all((n > 0) == (m > 0) for n, m in zip(counts, drawn, strict=True))


def test_held_out_answers_stay_hidden(pages: Pages) -> None:
    run = pages.runs["ordinary"]
    page = pages.get(f"/runs/{run}/task?task=sum-05").text
    assert "held out" in page
    assert "What is 5" not in page
    assert not re.search(r"Answer: \d", page)
    assert "What is 4" in pages.get(f"/runs/{run}/task?task=sum-04").text


def test_every_repeat_of_everyone_is_there(pages: Pages) -> None:
    body = json.loads(pages.get(f"/runs/{pages.runs['ordinary']}/task?t=3&format=json").text)
    assert [c["contestant"] for c in body["columns"]] == [
        "alpha-large",
        "beta-medium",
        "gamma-small",
        "delta-nano",
    ]
    assert all([v["trial"] for v in c["trials"]] == [0, 1, 2] for c in body["columns"])
    assert pages.get("/runs/last/task?t=999").status in (400, 404)
    assert pages.get("/runs/last/task?task=nothing").status == 404


def test_tasks_are_walked_by_keyboard(browser: Browser, pages: Pages) -> None:
    seen = look(browser, pages.at(f"/runs/{pages.runs['ordinary']}/grid?sort=disagreement"))
    seen.page.keyboard.press("j")
    with seen.page.expect_navigation():
        seen.page.keyboard.press("Enter")
    assert "/task?t=" in seen.page.url
    with seen.page.expect_navigation():
        seen.page.keyboard.press("n")
    with seen.page.expect_navigation():
        seen.page.keyboard.press("u")
    assert seen.page.url.endswith("/grid")
    seen.sound()
    seen.page.context.close()


def test_keys_sort_the_grid_and_the_address_keeps_it(browser: Browser, pages: Pages) -> None:
    seen = look(browser, pages.at(f"/runs/{pages.runs['ordinary']}/grid"))
    for key, by in (("d", "disagreement"), ("f", "flips"), ("s", "solved")):
        seen.page.keyboard.press(key)
        seen.page.wait_for_url(f"**sort={by}**")
        assert seen.page.locator("th[aria-sort]").count() == 1
    seen.sound()
    seen.page.context.close()
