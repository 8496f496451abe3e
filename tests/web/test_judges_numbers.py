"""Arenas and queues: the command's text, its JSON, the page and its CSV say what `stats` says, and what we count ourselves."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tests.arena.kit import Clock, make_run
from tests.web.judges import Visitor
from tests.web.kit import Pages, served

from steelyard.arena.base import Battle
from steelyard.arena.battles import Arena, Terms, open_arena
from steelyard.arena.keys import key_path, load_keys
from steelyard.arena.queue import Queue, QueueTerms, open_queue, scale_points
from steelyard.cli.main import main
from steelyard.decide.ranking import ranking
from steelyard.ledger import open_ledger
from steelyard.stats.agreement import cohen_kappa
from steelyard.stats.alpha import krippendorff_alpha
from steelyard.stats.ratings import RatingOptions
from steelyard.stats.ratings_votes import votes as table_of_votes
from steelyard.unknown import Unknown

SKILL = {"ada": 1.0, "bob": 0.3, "cyd": 0.0, "dan": -0.6}
STYLES = ("characters", "headers", "lists", "bolds")
Row = dict[str, object]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pages, Path]]:
    """An arena with some 180 votes (ties, both bad, one hasty person) and queues that three people labelled."""
    place = tmp_path_factory.mktemp("judged") / "ledger"
    ledger = open_ledger(str(place), create=True)
    run, clock = make_run(ledger, tuple(SKILL), n=10), Clock()
    keys = load_keys(key_path(str(place), place))
    open_arena(ledger, "ours", run, Terms(seed=7), clock)
    open_queue(ledger, "grade", run, QueueTerms(seed=1, sample=24, overlap=0.75, people=3), clock)
    open_queue(ledger, "stars", run, QueueTerms(seed=2, kind="scale", points=scale_points(1, 5), sample=20, overlap=1.0), clock)  # fmt: skip
    rng = np.random.default_rng(11)
    arena = Arena(ledger, "ours", keys, clock)
    for person in range(15):
        who = keys.annotator(secrets.token_hex(16))
        arena.enrol(who, f"person {person}")
        for _ in range(5 if person == 14 else 12):
            battle = arena.battle(who)
            assert isinstance(battle, Battle)
            issued = arena.battles.issued[battle.id]
            clock.wait(0.2 if person == 14 else float(rng.uniform(8, 40)))
            edge = SKILL[issued.left] - SKILL[issued.right] + 0.25
            draw = rng.random()
            choice = "tie" if draw < 0.12 else "both_bad" if draw < 0.22 else None
            arena.vote(battle.token, choice or ("left" if rng.random() < 1 / (1 + math.exp(-edge)) else "right"), who)  # fmt: skip
    arena.close()
    for name, labels in (("grade", ("pass", "fail")), ("stars", ("1", "2", "3", "4", "5"))):
        queue = Queue(ledger, name, keys, clock)
        for person in range(3):
            who = keys.annotator(f"labels {person}")
            queue.enrol(who, f"annotator {person}")
            while (item := queue.next(who)) is not None:
                clock.wait(float(rng.uniform(5, 30)))
                truth = item.item % len(labels)
                given = truth if rng.random() < 0.8 else int(rng.integers(len(labels)))
                queue.label(item.token, who, () if rng.random() < 0.05 else (labels[given],))
        queue.close()
    ledger.close()
    with served(place) as pages:
        yield pages, place


def rows(place: Path, kind: str, key: str) -> list[Row]:
    ledger = open_ledger(str(place), create=False)
    try:
        return [json.loads(r) for r in ledger.chain(kind, key)]
    finally:
        ledger.close()


def said(place: Path, *words: str) -> str:
    done = CliRunner().invoke(main, [*words, "--ledger", str(place)])
    assert done.exit_code == 0, done.output
    return done.stdout


def counting(place: Path) -> list[Row]:
    """The votes that count, straight from the rows of the chains."""
    held: set[object] = set()
    for row in rows(place, "quarantine", "ours"):
        ids = set(row["votes"])  # type: ignore[call-overload] # a list
        held = held | ids if row["type"] == "quarantined" else held - ids
    every = rows(place, "votes", "ours")
    assert 1 <= len(held) < len(every)
    return [v for v in every if v["id"] not in held]


def elo_of(votes: list[Row]) -> dict[str, float]:
    """Bradley and Terry by Newton's method, ties as half a win, with the first side's advantage: nothing of ours in it."""
    names = sorted({str(v[side]) for v in votes for side in ("left", "right")})
    x = np.zeros((len(votes), len(names)))
    y = np.array([{"left": 1.0, "right": 0.0}.get(str(v["winner"]), 0.5) for v in votes])
    for n, v in enumerate(votes):
        x[n, names.index(str(v["left"]))], x[n, names.index(str(v["right"]))] = 1.0, -1.0
    x = np.column_stack([x[:, 1:], np.ones(len(votes))])  # the first name is the origin
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ beta))
        beta += np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (y - p))
    full = np.append(0.0, beta[:-1])
    return dict(zip(names, 400 / math.log(10) * (full - full.mean()), strict=True))


@pytest.mark.parametrize("style", [False, True])
def test_an_arenas_figures_are_equal_wherever_they_stand(judged: tuple[Pages, Path], style: bool) -> None:
    pages, place = judged
    votes = counting(place)
    table = table_of_votes(
        [v["left"] for v in votes],
        [v["right"] for v in votes],
        [v["winner"] for v in votes],
        prompt=[v["prompt"] for v in votes],
        voter=[v["voter"] for v in votes],
        features={"characters": [float(v["fields"]["characters"]) for v in votes]} if style else None,  # type: ignore[call-overload] # a mapping
    )
    truth = ranking(table, RatingOptions())
    words = ["arena", "show", "ours", *(["--style"] if style else [])]
    printed, kept = said(place, *words), json.loads(said(place, *words, "--json"))
    address = f"/arena/ours/ratings{'?style=on' if style else '?style=off'}"
    page = json.loads(Visitor(pages).get(address + "&format=json").text)
    html = Visitor(pages).get(address).text
    lines = list(csv.DictReader(io.StringIO(Visitor(pages).get(address + "&format=csv").text)))
    command = json.loads(said(place, *page["counting"]["command"].split()[1:], "--json"))
    assert kept["without"]["n_votes"] == page["counting"]["n_votes"] == len(votes)
    assert f"{len(votes)} votes of {len({v['voter'] for v in votes})} people count" in printed
    everywhere = (kept["without"]["ranking"]["rows"], page["rows"], command["rows"])
    for n, row in enumerate(truth.rows):
        value, interval = row.elo.value, row.elo.interval
        assert isinstance(value, float)
        for found in (r[n] for r in everywhere):
            assert found["contestant"] == row.contestant
            assert (found["elo"]["value"], found["elo"]["interval"]["low"], found["elo"]["interval"]["high"]) == (
                pytest.approx(value), pytest.approx(interval.low), pytest.approx(interval.high))  # type: ignore[union-attr] # fmt: skip
            assert (found["rank"]["rank"], found["rank"]["best"], found["rank"]["worst"], found["rank"]["group"]) == (
                row.rank.rank, row.rank.best, row.rank.worst, row.rank.group)  # fmt: skip
            assert found["votes"] == row.votes
        assert lines[n]["contestant"] == row.contestant
        assert float(lines[n]["elo"]) == pytest.approx(value)
        shown = next(x for x in printed.splitlines() if x.startswith(row.contestant))
        assert f"{value:.1f}" in shown
        assert f"{interval.low:.1f}" in shown  # type: ignore[union-attr] # known
        assert f">{value:.0f}<" in html
        assert f"{interval.low:.0f} – {interval.high:.0f}" in html  # type: ignore[union-attr] # known
    assert set(kept["without"]["ranking"]["style"]) == ({"characters"} if style else set())


def test_the_ratings_are_those_of_a_fit_of_our_own_and_quarantine_is_shown(
    judged: tuple[Pages, Path],
) -> None:
    pages, place = judged
    own, votes = elo_of(counting(place)), rows(place, "votes", "ours")
    assert {v["winner"] for v in votes} == {"left", "right", "tie", "both_bad"}
    kept = json.loads(said(place, "arena", "show", "ours", "--json"))
    for side, of in (("without", own), ("with_all", elo_of(votes))):
        shown = {r["contestant"]: r["elo"]["value"] for r in kept[side]["ranking"]["rows"]}
        middle = sum(shown.values()) / len(shown)
        for name, value in of.items():
            assert shown[name] - middle == pytest.approx(value, abs=0.05), (side, name)
    met = Counter(str(v[s]) for v in counting(place) for s in ("left", "right"))
    assert {r["contestant"]: r["votes"] for r in kept["without"]["ranking"]["rows"]} == dict(met)
    page = json.loads(Visitor(pages).get("/arena/ours/ratings?format=json").text)
    assert {s["contestant"]: s["rank_all"] for s in page["shifts"]} == {
        r["contestant"]: r["rank"]["rank"] for r in kept["with_all"]["ranking"]["rows"]
    }
    assert page["n_held"] == kept["n_held"] == len(votes) - len(counting(place))


def newest(place: Path, queue: str) -> dict[tuple[int, str], list[str]]:
    """The newest labels of each person on each item."""
    out: dict[tuple[int, str], list[str]] = {}
    for r in rows(place, "annotations", queue):
        if r["type"] == "annotation":
            out[int(str(r["item"])), str(r["annotator"])] = list(r.get("labels", []))  # type: ignore[call-overload] # a list
    return out


def alpha_by_hand(by_item: dict[int, list[str]]) -> float:
    """Krippendorff's alpha of nominal labels: 1 - observed / expected disagreement, over pairs within items."""
    several = [x for x in by_item.values() if len(x) > 1]
    total = Counter(label for x in several for label in x)
    n = sum(total.values())
    observed = sum(
        sum(a != b for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / (len(x) - 1) for x in several
    )  # fmt: skip
    expected = sum(total[a] * total[b] for a in total for b in total if a != b) / (n - 1)
    return 1 - observed / expected


def test_a_queues_figures_are_equal_wherever_they_stand(judged: tuple[Pages, Path]) -> None:
    pages, place = judged
    for queue in ("grade", "stars"):
        found = newest(place, queue)
        given = {k: v[0] for k, v in found.items() if v}
        page = json.loads(Visitor(pages).get(f"/annotate/{queue}/figures?format=json").text)
        html = Visitor(pages).get(f"/annotate/{queue}/figures").text
        printed = said(place, "annotate", "show", queue)
        kept = json.loads(said(place, "annotate", "show", queue, "--json"))
        for shown in (page, kept):
            people = {p["annotator"]: (p["labelled"], p["passed_on"]) for p in shown["progress"]}
            assert people == {
                who: (sum(bool(v) for (_, a), v in found.items() if a == who),
                      sum(not v for (_, a), v in found.items() if a == who))
                for who in {a for _, a in found}
            }  # fmt: skip
            (agreed,) = shown["agreement"]
            numeric = queue == "stars"
            keys = sorted(given)
            alpha = krippendorff_alpha(
                [float(given[k]) if numeric else given[k] for k in keys],
                [k[0] for k in keys],
                metric="ordinal" if numeric else "nominal",
            )
            assert agreed["alpha"]["value"] == pytest.approx(alpha.value)
            by_item: dict[int, list[str]] = defaultdict(list)
            for (i, _), label in given.items():
                by_item[i].append(label)
            if not numeric:
                assert agreed["alpha"]["value"] == pytest.approx(alpha_by_hand(by_item))
            assert (agreed["n_items"], agreed["n_labels"]) == (len(by_item), len(given))
            for u, v, n, kappa in agreed["pairs"]:
                both = [(given[i, u], given[i, v]) for i in by_item if (i, u) in given and (i, v) in given]
                one, two = [a for a, _ in both], [b for _, b in both]
                order = [str(x) for x in range(5, 0, -1)]
                stated = (
                    cohen_kappa(one, two, weights="linear", order=order) if numeric else cohen_kappa(one, two)
                )
                assert n == len(both)
                if isinstance(stated.value, Unknown):
                    assert kappa["value"] == {"unknown": stated.value.reason}
                    continue
                assert kappa["value"] == pytest.approx(stated.value)
                assert f"kappa {kappa['value']:.3f}" in printed
        assert f"alpha {kept['agreement'][0]['alpha']['value']:.3f}" in printed
        assert f"{kept['labels']} of {kept['wanted']} labels" in printed
        assert re.search(rf"annotator 0: {next(p['labelled'] for p in kept['progress'] if p['name'] == 'annotator 0')} labelled", printed)  # fmt: skip
        assert page["judge"]["n"] == kept["judge"]["n"]
        assert page["judge"]["mean"] == kept["judge"]["mean"]
        assert page["judge"]["calibration"] == kept["judge"]["calibration"]
        assert all(f"annotator {n}" in html for n in range(3))
