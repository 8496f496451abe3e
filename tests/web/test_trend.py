"""View 14: trend and gates."""

from __future__ import annotations

import json
import shlex
from html import unescape
from pathlib import Path

from click.testing import CliRunner
from playwright.sync_api import Browser
from tests.web.browsing import check_everywhere
from tests.web.kit import Pages, served

from steelyard.cli.main import main
from steelyard.ledger import open_ledger
from steelyard.ledger.gates import gates
from steelyard.testing import ledgers

RULES = """rules:
- {name: no worse, baseline: gamma-small, contestant: alpha-large, margin: 0.05}
- {name: <script>, baseline: alpha-large, contestant: delta-nano, margin: 0.05}
"""


def gated(place: Path, rules: Path, *more: str) -> int:
    return CliRunner().invoke(main, ["gate", str(rules), "last", "--ledger", str(place), *more]).exit_code


def test_gates_are_kept_with_their_evidence_and_shown(browser: Browser, tmp_path: Path) -> None:
    place, rules = tmp_path / "l", tmp_path / "rules.yaml"
    first = ledgers.ordinary(place, name="monday", tasks=12)
    second = ledgers.ordinary(place, name="tuesday", tasks=12, seed=9)
    rules.write_text(RULES)
    assert gated(place, rules) == 10
    assert gated(place, rules, "--no-record") == 10
    ledger = open_ledger(str(place), create=False)
    kept = gates(ledger)
    assert [(g.run, g.outcome, g.exit_code) for g in kept] == [(second, "regression", 10)]
    assert kept[0].head == ledger.find(second).head
    assert kept[0].rules_text == RULES
    assert ledger.verify().problems == ()
    ledger.close()
    with served(place, {"a": first}) as pages:
        check_everywhere(browser, pages.at("/trend"))
        body = json.loads(pages.get("/trend?format=json").text)
        assert body["n_runs"] == 2
        assert all(len(x["points"]) == 2 for x in body["lines"])
        decision = body["decisions"][0]
        assert decision["command"] == f"steelyard gate {rules} {second}"
        assert [c["outcome"] for c in decision["checks"]] == ["pass", "regression"]
        assert not decision["stale"]
        assert "&lt;script&gt;" in pages.get("/trend").text


def test_the_command_judges_the_same_trials_again(tmp_path: Path) -> None:
    place, rules = tmp_path / "l", tmp_path / "my rules.yaml"
    run = ledgers.ordinary(place, tasks=12)
    rules.write_text(RULES)
    gated(place, rules, "--where", "suite=sums")
    with served(place, named=str(place)) as pages:
        decision = json.loads(pages.get("/trend?format=json").text)["decisions"][0]
        shown = pages.get("/trend").text
    assert decision["command"] == f"steelyard gate '{rules}' {run} --where suite=sums --ledger {place}"
    assert decision["command"] in unescape(shown)
    again = CliRunner().invoke(main, [*shlex.split(decision["command"])[1:], "--no-record", "--json"])
    assert again.exit_code == decision["exit_code"]
    told = json.loads(again.stdout)["report"]
    assert [c["value"] for c in told["checks"]] == [c["value"] for c in decision["checks"]]


def test_a_ledger_without_gates_says_how_to_make_one(browser: Browser, pages: Pages) -> None:
    check_everywhere(browser, pages.at("/trend"))
    assert "No gate has judged" in pages.get("/trend").text


def test_scores_are_those_of_the_boards(pages: Pages) -> None:
    body = json.loads(pages.get("/trend?suite=sums&format=json").text)
    board = json.loads(pages.get(f"/runs/{pages.runs['ordinary']}?suite=sums&format=json").text)
    wanted = {x["contestant"]: x["estimate"]["value"] for x in board["lines"]}
    assert {x["contestant"]: x["points"][-1]["estimate"]["value"] for x in body["lines"]} == wanted
    assert pages.get("/trend?suite=none").status == 400
