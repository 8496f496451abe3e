"""Every page names a command line; it runs as it is printed, and what it prints are the page's figures."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.web.kit import Pages, served

from steelyard.cli.main import main
from steelyard.testing import ledgers
from steelyard.web.registry import find_views

PAGES = (
    "/runs",
    "/runs?group=status&sort=name",
    "/runs/{run}",
    "/runs/{run}?suite=sums&sort=cost",
    "/runs/{run}?scorer=exact@1",
    "/runs/{run}/grid",
    "/runs/{run}/grid?sort=disagreement&show=disagree&c.size=small",
    "/runs/{run}/grid?q=word-1&contestant=delta-nano&contestant=beta-medium",
    "/runs/{run}/task?t=3",
    "/runs/{run}/task?task=word-05",
    "/runs/{run}/trace?t=3&c=0&k=1",
    "/runs/{run}/trace?t=3&contestant=delta-nano&q=steel",
    "/runs/{run}/score?t=3&c=2&k=0",
    "/runs/{run}/diff",
    "/runs/{run}/diff?a=alpha-large&b=delta-nano&show=losses",
    "/runs/{run}/diff?with={other}&a=alpha-large&b=alpha-large",
    "/runs/{run}/failures",
    "/runs/{run}/failures?contestant=gamma-small",
    "/runs/{run}/conditions?by=size",
    "/runs/{run}/pareto",
    "/runs/{run}/latency",
    "/runs/{run}/ratings",
    "/trend",
    "/trend?suite=words",
    "/arena",
)
SAME_WORDS = tuple(p for p in PAGES if not re.search(r"conditions|pareto|latency|ratings|arena", p))
"""Pages whose commands print each figure as the page does."""
OTHER_UNITS = tuple(p for p in PAGES if re.search(r"pareto|latency|ratings|conditions", p))
"""Pages whose commands print the same figures as shares of one, in seconds, or in more digits."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """A ledger with a space in its name, which the commands have to name."""
    place = tmp_path_factory.mktemp("a ledger") / "it's here"
    runs = {
        "other": ledgers.ordinary(place, tasks=12, repeats=2, name="before", seed=3),
        "run": ledgers.ordinary(place, tasks=12, repeats=2),
    }
    with served(place, runs, named=str(place)) as found:
        yield found


def printed(line: str) -> str:
    """What a command line prints; it is run as a shell would split it."""
    program, *arguments = shlex.split(line)
    assert program == "steelyard"
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, (line, done.output)
    return done.stdout


def address(pages: Pages, path: str) -> str:
    return path.format(**pages.runs)


@pytest.mark.parametrize("path", PAGES)
def test_the_commands_below_a_page_run_as_printed(pages: Pages, path: str) -> None:
    page = pages.get(address(pages, path)).text
    lines = [
        unescape(x) for x in re.findall(r"<code data-copy>(steelyard .*?)</code>", page.split("<footer>")[1])
    ]
    assert 1 <= len(lines) <= 2
    for line in lines:
        assert printed(line).strip()


@pytest.mark.parametrize("path", PAGES)
def test_the_command_of_a_page_prints_the_same_model_as_its_download(pages: Pages, path: str) -> None:
    at = address(pages, path)
    again = at + ("&" if "?" in at else "?")
    page = pages.get(at).text.split("<footer>")[1]
    line = unescape(re.findall(r"<code data-copy>(steelyard page .*?)</code>", page)[0])
    assert json.loads(printed(line + " --json")) == json.loads(pages.get(again + "format=json").body)
    csv = pages.get(again + "format=csv").text.replace("\r\n", "\n")
    assert printed(line + " --csv").strip() == csv.strip()


@pytest.mark.parametrize("path", SAME_WORDS)
def test_the_figures_of_the_page_are_in_what_its_commands_print(pages: Pages, path: str) -> None:
    """Every figure in a cell of the page's tables stands in the text that one of its commands prints."""
    page = pages.get(address(pages, path)).text
    lines = [
        unescape(x) for x in re.findall(r"<code data-copy>(steelyard .*?)</code>", page.split("<footer>")[1])
    ]
    said = "\n".join(printed(line) for line in lines)
    numbers = set(re.findall(r"\d+\.\d+", said)) | {
        f"{float(x):.0f}" for x in re.findall(r"\d+(?:\.\d+)?", said)
    }
    cells = re.findall(r'<td class="n (?:big|span)"[^>]*>(.*?)</td>', page, re.DOTALL)
    for cell in cells:
        for figure in re.findall(r"\d+\.\d+", re.sub(r"<[^>]*>", " ", cell)):
            assert figure in numbers, (figure, lines)


@pytest.mark.parametrize("path", OTHER_UNITS)
def test_every_figure_of_a_page_is_among_those_that_each_of_its_commands_prints(
    pages: Pages, path: str
) -> None:
    """By value: percent against shares, milliseconds against seconds, each rounded to what the page shows."""
    page = pages.get(address(pages, path)).text
    cells = re.findall(r'<td class="(?:n (?:big|span)|cell [^"]*)"[^>]*>(.*?)</td>', page, re.DOTALL)
    texts = [re.sub(r",|\u202f", "", re.sub(r"<[^>]*>", " ", unescape(c))) for c in cells]
    figures = [f for text in texts for f in re.findall(r"-?\d+(?:\.\d+)?", text)]
    assert len(figures) >= 4
    lines = re.findall(r"<code data-copy>(steelyard .*?)</code>", page.split("<footer>")[1])
    for line in map(unescape, lines):
        numbers = [
            x.replace(",", "") for x in re.findall(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?", printed(line))
        ]
        for figure in figures:
            assert any(same(figure, x, by) for x in numbers for by in (1, 100, 1000)), (figure, line)


def same(shown: str, said: str, by: int) -> bool:
    """Two roundings of one figure, the second `by` times as small: they may differ by half of each last digit."""
    halves = [0.5 * 10.0 ** -len(x.partition(".")[2]) for x in (shown, said)]
    return abs(abs(float(shown)) - by * abs(float(said))) <= halves[0] + by * halves[1] + 1e-9


def test_every_view_is_in_this_list() -> None:
    listed = {re.sub(r"\?.*", "", p) for p in PAGES}
    rest = {"/annotate/{queue}", "/annotate/{queue}/figures", "/arena/{arena}", "/arena/{arena}/ratings",
            "/runs/{run}/trace/text"}  # fmt: skip
    assert {v.path for v in find_views().views.values()} == listed | rest


def test_a_page_is_printed_by_its_whole_address_as_text(pages: Pages) -> None:
    where = pages.at(address(pages, "/runs/{run}/grid?sort=solved"))
    line = shlex.join(("steelyard", "page", where, "--ledger", pages.place))
    first = printed(line).splitlines()
    assert first[0] == "Tasks of ordinary"
    assert "24 of 24 tasks match" in first[1]
    assert "solved %" in first[3]


@pytest.mark.parametrize("wrong", ["/runs/last/nothing", "x", "", "http://[", "/runs/a/b/c/d", "/static/x/y"])
def test_an_address_of_no_page_is_answered_with_those_there_are(pages: Pages, wrong: str) -> None:
    done = CliRunner().invoke(main, ["page", wrong, "--ledger", pages.place])
    assert done.exit_code == 3
    assert "address" in done.stderr
    assert "Traceback" not in done.output


def test_held_out_texts_are_not_printed_without_reveal(pages: Pages) -> None:
    for path in ("task?t=5", "trace?t=5&c=0", "score?t=5&c=0"):
        said = printed(
            shlex.join(("steelyard", "page", f"/runs/last/{path}", "--ledger", pages.place, "--json"))
        )
        assert "(held out)" in said or '"hidden": true' in said
        assert "What is 5 + 38" not in said
        assert not re.search(r'"(target|answer|extracted|text)": "[^"]*43', said)


def test_a_name_with_invisible_characters_does_not_spoil_a_command(tmp_path: Path) -> None:
    """What a page shows instead of such a character is no part of the name: the address is printed, in plain ASCII."""
    run = ledgers.hostile(tmp_path / "l")
    with served(tmp_path / "l", named=str(tmp_path / "l")) as found:
        for path in ("trace?t=1&c=1", "score?t=1&c=1", "task?t=2", "diff"):
            page = found.get(f"/runs/{run}/{path}").text.split("<footer>")[1]
            for line in re.findall(r"<code data-copy>(steelyard .*?)</code>", page):
                assert printed(unescape(line)).strip()


def test_view_prints_commands_that_name_the_ledger_it_was_given(tmp_path: Path) -> None:
    """The command runs from another folder than the server's."""
    ledgers.ordinary(tmp_path / "l", tasks=3, repeats=1)
    command = [sys.executable, "-m", "steelyard", "view", "--ledger", "l", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] not in ("}\n", ""):
            lines.append(process.stdout.readline())
        page = Pages(json.loads("".join(lines))["url"]).get("/runs/last?format=json")
        process.terminate()
        process.wait(20)
    line = json.loads(page.body)["command"]
    assert line.endswith(f"--ledger {tmp_path / 'l'}")
    assert "ordinary" in printed(line)
