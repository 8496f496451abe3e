"""Two people in real browsers, through an arena and a queue, while the server is killed in the middle and started again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as BrowserError
from tests.web.judges import make

from steelyard.arena.keys import key_path, load_keys
from steelyard.cli.main import main
from steelyard.ledger import open_ledger
from steelyard.schema.annotation import Annotation
from steelyard.schema.vote import Vote

ROUNDS = 6
"""Votes of each person before the kill, and again after it."""


@dataclass
class Server:
    """`steelyard view` as a process of its own, on one port for all its lives."""

    place: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        words = ["view", "--no-open", "--port", str(self.port), "--ledger", str(self.place)]
        self.process = subprocess.Popen([sys.executable, "-m", "steelyard", *words], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.port = urlsplit(self.process.stdout.readline().decode().strip()).port or 0

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    make(tmp_path / "ledger")
    found = Server(tmp_path / "ledger")
    try:
        found.start()
        yield found
    finally:
        found.kill()


@dataclass
class Person:
    """What somebody did, by their own book: `votes` and `labels` that the page confirmed, `sent` those it could not."""

    page: Page
    base: str
    votes: dict[str, str] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)

    def open(self, path: str) -> None:
        self.page.goto(self.base + path, wait_until="load")

    def battle(self) -> str:
        token = self.page.locator("form.ballot input[name=token]").get_attribute("value") or ""
        return token.partition(".")[0]

    def vote(self, choice: str) -> None:
        battle = self.battle()
        self.page.keyboard.press({"left": "a", "right": "b", "tie": "t", "both_bad": "x"}[choice])
        self.page.wait_for_url("**voted=**", timeout=60_000)
        assert parse_qs(urlsplit(self.page.url).query)["voted"] == [battle]
        assert "Your vote" in self.page.inner_text("main")
        self.votes[battle] = choice
        self.page.keyboard.press("n")
        self.page.wait_for_selector("form.ballot", timeout=60_000)

    def label(self, key: str) -> None:
        item = json.loads(self.page.request.get(self.base + "/annotate/grade?format=json").text())["item"]
        with self.page.expect_navigation(timeout=60_000):
            self.page.keyboard.press(key)
        self.page.wait_for_selector("text=Kept.", timeout=60_000)
        self.labels[item] = {"p": "pass", "x": "fail"}[key]


def killed_while_sending(server: Server, person: Person, choice: str) -> None:
    """The form goes out, and the server dies within a few milliseconds of it: the person sees no answer, or just one."""
    battle = person.battle()
    person.sent[battle] = choice
    killer = threading.Timer(0.02, server.kill)
    killer.start()
    with contextlib.suppress(BrowserError):  # no answer: that is what is tried here
        person.page.click(f"form.ballot button[value={choice}]", timeout=5_000, no_wait_after=True)
        time.sleep(0.3)
    killer.join()


def rows(place: Path, kind: str, key: str) -> list[bytes]:
    ledger = open_ledger(str(place), create=False)
    try:
        return list(ledger.chain(kind, key))
    finally:
        ledger.close()


def said(place: Path, *words: str) -> dict:  # type: ignore[type-arg] # JSON
    done = CliRunner().invoke(main, [*words, "--ledger", str(place), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_no_vote_is_lost_or_doubled_when_the_server_is_killed(browser: Browser, server: Server) -> None:
    people = [Person(browser.new_context().new_page(), server.base) for _ in range(2)]
    for person in people:
        person.open("/arena/ours")
    choices = ("left", "right", "left", "tie", "right", "both_bad")
    for n in range(ROUNDS):
        for who, person in enumerate(people):
            person.vote(choices[(n + 2 * who) % len(choices)])
    before = said(server.place, "arena", "show", "ours")["with_all"]
    killed_while_sending(server, people[0], "left")
    open_battle = people[1].battle()
    server.start()
    # one goes back to its page; the other sends the form that it had before the kill
    people[0].open("/arena/ours")
    assert people[1].battle() == open_battle
    for n in range(ROUNDS):
        for who, person in enumerate(people):
            person.vote(choices[(n + who) % len(choices)])
    votes = [msgspec.json.decode(r, type=Vote) for r in rows(server.place, "votes", "ours")]
    found = {v.id: v for v in votes}
    assert len(found) == len(votes), "a battle was counted twice"
    confirmed = {b: c for p in people for b, c in p.votes.items()}
    assert {b: found[b].winner for b in confirmed} == confirmed
    extra = set(found) - set(confirmed)
    assert extra <= set(people[0].sent), "a vote that nobody cast"
    assert len(confirmed) == 4 * ROUNDS
    keys = load_keys(key_path(str(server.place), Path.home()))
    assert all(keys.is_signed(v, v.voter) for v in votes)
    mine = Counter(v.voter for v in votes)
    assert sorted(mine.values()) == sorted(len(set(p.votes) | (extra & set(p.sent))) for p in people)
    issued = {r["battle"]: r for r in map(json.loads, rows(server.place, "battles", "ours")) if "battle" in r}
    assert all((issued[v.id]["left"], issued[v.id]["right"]) == (v.left, v.right) for v in votes)
    assert {v.winner for v in votes} == set(choices)
    assert CliRunner().invoke(main, ["verify", "--ledger", str(server.place)]).exit_code == 0
    assert said(server.place, "arena", "check", "ours", "--dry-run")["forged"] == []
    after = said(server.place, "arena", "show", "ours")
    shown = after["without"]["n_votes"] + after["n_held"]
    assert shown == len(votes)
    one, two = (
        {r["contestant"]: r["elo"] for r in x["ranking"]["rows"]} for x in (before, after["with_all"])
    )
    assert any(one[name]["value"] != two[name]["value"] for name in one)
    assert all(e["interval"]["low"] < e["value"] < e["interval"]["high"] for e in two.values())
    for person in people:
        person.page.context.close()


def test_labels_survive_a_kill_and_agreement_is_our_own_count(browser: Browser, server: Server) -> None:
    people = [Person(browser.new_context().new_page(), server.base) for _ in range(2)]
    done: set[int] = set()
    turn = 0
    while len(done) < 2:
        if turn == 7:
            server.kill()
            server.start()
        who = turn % 2
        turn += 1
        if who in done:
            continue
        person = people[who]
        person.open("/annotate/grade")
        if not person.page.locator("form.labels").count():
            done.add(who)
            continue
        person.label("px"[(turn // 3 + who * (turn % 4 == 0)) % 2])
    labels = [
        msgspec.json.decode(r, type=Annotation)
        for r in rows(server.place, "annotations", "grade")
        if json.loads(r)["type"] == "annotation"
    ]
    keys = load_keys(key_path(str(server.place), Path.home()))
    assert all(keys.is_signed(a, a.annotator) for a in labels)
    assert len({(a.item, a.annotator) for a in labels}) == len(labels), "a label was kept twice"
    by_person = {a.annotator: {} for a in labels}
    for a in labels:
        by_person[a.annotator][a.item] = a.labels[0]
    books = sorted((p.labels for p in people), key=sorted)
    assert sorted(by_person.values(), key=sorted) == books
    shown = said(server.place, "annotate", "show", "grade")
    assert shown["labels"] == shown["wanted"] == len(labels)
    assert {p["annotator"]: p["labelled"] for p in shown["progress"]} == {
        who: len(book) for who, book in by_person.items()
    }
    one, two = by_person.values()
    both = sorted(set(one) & set(two))
    assert both
    same = sum(one[i] == two[i] for i in both) / len(both)
    chance = sum(
        sum(book[i] == x for i in both) / len(both) * sum(other[i] == x for i in both) / len(both)
        for x in ("pass", "fail")
        for book, other in ((one, two),)
    )
    ((_, _, n, kappa),) = shown["agreement"][0]["pairs"]
    assert n == len(both)
    if chance < 1:
        assert kappa["value"] == pytest.approx((same - chance) / (1 - chance))
    assert CliRunner().invoke(main, ["verify", "--ledger", str(server.place)]).exit_code == 0
    for person in people:
        person.page.context.close()
