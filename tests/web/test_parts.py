"""The parts under the pages: hostile text, addresses, downloads, the desk's memory, tags, pictures, the registry."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import DataError
from steelyard.ledger import open_ledger
from steelyard.runner.exposure import exposures
from steelyard.schema.task import Task
from steelyard.stats.base import Estimate, Interval
from steelyard.testing import ledgers
from steelyard.unknown import Unknown
from steelyard.web import figures, scatter, svg, text
from steelyard.web.ask import Ask, fill
from steelyard.web.base import Table
from steelyard.web.desk import Desk
from steelyard.web.downloads import as_csv, as_json
from steelyard.web.registry import find_views
from steelyard.web.tags import all_tags, tag

any_text = st.text(st.characters(codec=None), max_size=60)


class TestText:
    @given(any_text)
    def test_nothing_of_a_text_is_markup_or_invisible(self, said: str) -> None:
        html = str(text.shown(said))
        inner = html.removeprefix('<bdi class="text">').removesuffix("</bdi>")
        inner = inner.replace('<span class="mark">', "").replace("</span>", "")
        assert "<" not in inner
        assert ">" not in inner
        assert '"' not in inner
        assert not any(c in inner for c in "\u202e\u2066\u200f\ufeff\x1b\x00\x07\x9b")
        html.encode("utf-8")  # no lone surrogate is left

    @given(any_text)
    def test_in_an_attribute_nothing_is_invisible(self, said: str) -> None:
        assert not any(c in text.visible(said) for c in "\u202e\u2066\u200f\ufeff\x1b\x00\x07\x9b")

    def test_marks_name_what_they_stand_for(self) -> None:
        assert '<span class="mark">RLO</span>' in text.shown("a\u202eb")
        assert '<span class="mark">␛</span>' in text.shown("\x1b[31m")
        assert text.visible("x\u2066y") == "x[LRI]y"

    def test_writing_that_needs_joiners_keeps_them(self) -> None:
        family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
        assert family in text.shown(family)

    def test_what_is_cut_is_said(self) -> None:
        assert "4,900 more characters" in text.shown("y" * 5_000, 100)
        assert 'title="… ' in text.line("z" * 500, 100)
        assert "z" * 101 not in text.line("z" * 500, 100).split("title=")[0]

    def test_a_long_name_keeps_both_ends(self) -> None:
        first, second = (str(text.name(f"organisation/model-family-2026-preview-{i}", 20)) for i in (1, 2))
        assert first.replace("1", "2") == second
        assert "preview-1</bdi>" in first
        assert 'title="organisation/model-family-2026-preview-1"' in first
        assert "<b>" not in text.name("<b>" * 30 + "\u202e", 20)
        assert text.name("short", 20) == text.shown("short")


class TestAddresses:
    @given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=4), any_text)
    def test_a_query_survives_a_change_of_something_else(self, query: dict[str, str], value: str) -> None:
        clean = {k: v for k, v in query.items() if v and k != "sort" and k.isprintable() and v.isprintable()}
        ask = Ask("/runs", query={k: (v,) for k, v in clean.items()})
        again = parse_qs(urlsplit(ask.url({"sort": "cost"})).query, keep_blank_values=True)
        assert again == {**{k: [v] for k, v in clean.items()}, "sort": ["cost"]}

    def test_names_cannot_leave_their_place_in_a_path(self) -> None:
        path, query = fill("/runs/{run}", {"run": "../../etc?x#y", "contestant": "a/b&c", "none": None})
        assert path == "/runs/..%2F..%2Fetc%3Fx%23y"
        assert query == {"contestant": ["a/b&c"]}

    @pytest.mark.parametrize("said", ["x", "1.5", "-1", "11", "1e3", "٣", "9" * 30, " 1", "1 "])
    def test_a_number_that_is_none_is_refused(self, said: str) -> None:
        with pytest.raises(DataError, match="whole number"):
            Ask("/", query={"n": (said,)}).whole("n", 1, 1, 10)


@dataclass(frozen=True)
class Small:
    value: object
    title: str = "t"
    command: str = "steelyard show"

    def table(self) -> Table:
        return Table(("a",), ((self.value,),))


class TestDownloads:
    @pytest.mark.parametrize(
        "said", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\n=1", "\uff1d1+1", '=cmd|" /C calc"!A0']
    )
    def test_a_spreadsheet_is_given_no_formula(self, said: str) -> None:
        rows = list(csv.reader(io.StringIO(as_csv(Small(said).table()).decode())))
        assert rows[1][0] == "'" + said

    def test_numbers_stay_numbers_and_unknown_says_why(self) -> None:
        assert as_csv(Small(-0.5).table()) == b"a\r\n-0.5\r\n"
        assert as_csv(Small(Unknown("one observation")).table()) == b"a\r\nunknown: one observation\r\n"
        assert json.loads(as_json(Small(Unknown("why")))) == {
            "value": {"unknown": "why"}, "title": "t", "command": "steelyard show",
        }  # fmt: skip

    def test_nan_is_refused(self) -> None:
        with pytest.raises(ValueError, match="JSON"):
            as_json(Small(float("nan")))

    def test_a_lone_surrogate_does_not_break_a_download(self) -> None:
        assert json.loads(as_json(Small("a\ud800b")))["value"] == "a\\ud800b" or as_json(Small("a\ud800b"))


class TestDesk:
    def test_a_figure_is_made_once_for_each_head(self, ledger_place: Path) -> None:
        with closing(open_ledger(str(ledger_place), create=False)) as ledger:
            desk = Desk(ledger)
            run = desk.run("ordinary")
            made: list[int] = []
            for _ in range(3):
                desk.cached(run, ("x",), lambda: made.append(1))
            assert len(made) == 1
            desk.cached(replace(run, head="another"), ("x",), lambda: made.append(1))
            assert len(made) == 2

    def test_a_running_run_is_not_asked_again_at_once(self, ledger_place: Path) -> None:
        now = [0.0]

        def slow() -> float:
            now[0] += 1.0
            return now[0]

        with closing(open_ledger(str(ledger_place), create=False)) as ledger:
            desk = Desk(ledger, clock=lambda: now[0])
            run = replace(desk.run("ordinary"), status="running")
            assert desk.cached(replace(run, head="a"), ("x",), slow) == 1.0
            assert desk.cached(replace(run, head="b"), ("x",), slow) == 1.0
            now[0] += 20.0  # ten times as long as it took to make
            assert desk.cached(replace(run, head="b"), ("x",), slow) > 1.0

    def test_held_out_content_is_hidden_unless_the_server_reveals_and_records_it(
        self, tmp_path: Path
    ) -> None:
        ledgers.ordinary(tmp_path / "ledger", tasks=6, repeats=1)
        with closing(open_ledger(str(tmp_path / "ledger"), create=False)) as ledger:
            held, public = Task("a", split="held_out"), Task("b")
            desk = Desk(ledger)
            run = desk.run("last")
            version = ledger.plan(run.run).suites[0].version
            assert desk.hides(run, held)
            assert not desk.hides(run, public)
            assert not exposures(ledger, version)
            open_desk = Desk(ledger, reveal=True)
            assert not open_desk.hides(run, public)
            assert not exposures(ledger, version)
            assert not open_desk.hides(run, held)
            assert not open_desk.hides(run, held)
            assert len(exposures(ledger, version)) == 1


def test_tags_come_and_go_and_the_ledger_keeps_both(tmp_path: Path) -> None:
    name = ledgers.ordinary(tmp_path / "ledger", tasks=6, repeats=1)
    with closing(open_ledger(str(tmp_path / "ledger"), create=False)) as ledger:
        run = ledger.find(name)
        tag(ledger, run, " week 47 ")
        tag(ledger, run, "for the board")
        tag(ledger, run, "week 47", remove=True)
        assert all_tags(ledger) == {name: ("for the board",)}
        assert len(list(ledger.chain("tags", name))) == 3
        assert not ledger.verify().problems
        for wrong in ("", "  ", "x" * 41, "two\nlines", "rtl\u202e"):
            with pytest.raises(DataError, match="printable"):
                tag(ledger, run, wrong)


class TestPictures:
    ESTIMATE = Estimate(0.5, 0.1, Interval(0.3, 0.7, 0.95, "t"), "mean", 10, 10, 10)

    def test_an_interval_is_said_in_words_too(self) -> None:
        assert "50.0, from 30.0 to 70.0" in svg.interval_bar(self.ESTIMATE)

    def test_unknown_is_not_drawn_as_a_point(self) -> None:
        none = Unknown("no graded trial")
        assert svg.interval_bar(Estimate(none, none, none, "mean", 0, 0, 0)) == ""
        assert "open" in svg.interval_bar(Estimate(0.5, none, none, "mean", 1, 1, 1))

    @given(st.lists(st.floats(1e-9, 1e6), min_size=1, max_size=8))
    def test_an_axis_holds_its_values_between_few_ticks(self, values: list[float]) -> None:
        found = scatter.axis(values)
        assert all(-1e-9 <= found.share(v) <= 1 + 1e-9 for v in values)
        assert 2 <= len(found.ticks) <= 40

    def test_a_name_in_a_scatter_is_escaped(self) -> None:
        drawn = scatter.scatter(
            [scatter.Dot("<b>\u202e", 1.0, 0.5), scatter.Dot("free", 0.0, 0.5)], "cost", "score"
        )
        assert "<b>" not in drawn
        assert "[RLO]" in drawn


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [(figures.percent(0.71721), "71.7"), (figures.points(-0.05), "-5.0"), (figures.dollars(0.0000044), "$0.0000044"),
     (figures.dollars(12345.678), "$12,345.68"), (figures.seconds(0.0123), "12 ms"), (figures.seconds(4000), "1 h 6 min"),
     (figures.short(25349), "25.3k"), (figures.count(13675), "13\u202f675"), (figures.dollars(Unknown("x")), "–")],
)  # fmt: skip
def test_figures_read_as_people_write_them(shown: str, wanted: str) -> None:
    assert shown == wanted


def test_every_view_has_a_template_and_every_path_is_its_own() -> None:
    found = find_views()
    templates = Path(text.__file__).parent / "templates"
    assert {n for n in found.views if not (templates / f"{n}.html").exists()} == set()
    paths = [v.path for v in found.views.values()] + [r.path for r in found.raws.values()]
    assert len(paths) == len(set(paths))
    keys = [(v.scope, v.key) for v in found.views.values() if v.key]
    assert len(keys) == len(set(keys)), keys


def test_importing_the_room_loads_nothing_heavy() -> None:
    program = "import sys, steelyard.web, steelyard.cli.main; print({'numpy', 'starlette', 'jinja2', 'uvicorn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_view_says_its_address_as_json_and_ends_when_asked(ledger_place: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "steelyard",
        "view",
        "--ledger",
        str(ledger_place),
        "--port",
        "0",
        "--json",
        "--token",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        while not lines or lines[-1] not in ("}\n", ""):  # "" is the end: it went wrong
            lines.append(process.stdout.readline())
        process.terminate()
        process.wait(20)
    body = json.loads("".join(lines))
    assert body["token"] is True
    assert "?token=" in body["url"]
    assert body["url"].startswith("http://127.0.0.1:")


def test_view_of_no_ledger_says_what_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "steelyard", "view", "--ledger", str(tmp_path / "none"), "--no-open"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3
    assert "no ledger is there" in done.stderr
