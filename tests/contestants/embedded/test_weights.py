"""The shipped weights: what their cards say is what they do; sizes differ; the 4-bit copy is a bit worse."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from tools.measure_models import measure, table

from steelyard.contestants.embedded.engine import Engine
from steelyard.contestants.embedded.sampler import Sampling
from steelyard.contestants.embedded.weights import FOLDER, GROUP, card, load, model_names, quantise, unpack
from steelyard.errors import DataError, UserError
from steelyard.schema.message import Message, text_of
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome
from steelyard.schema.task import Task
from steelyard.scorers.base import Item
from steelyard.scorers.pairwise import Pairwise, PairwiseOptions
from steelyard.scorers.rubric import Criterion, Rubric, RubricOptions
from steelyard.tasks.builtin.makers import FAMILIES
from steelyard.tasks.builtin.suites import FOLDER as SUITES

NAMES = ("steelyard-nano", "steelyard-micro", "steelyard-small", "steelyard-small-q4")
Cell = dict[str, int]


def measured(name: str) -> dict[str, dict[str, Cell]]:
    found = card(name).facts["measured"]
    assert isinstance(found, dict)
    return found


def total(name: str, family: str, what: str = "right") -> tuple[int, int]:
    cells = measured(name)[family].values()
    return sum(c[what] for c in cells), sum(c["n"] for c in cells)


def test_three_sizes_and_a_copy_ship_in_a_few_megabytes() -> None:
    assert model_names() == NAMES
    sizes = [card(n).shape.parameters for n in NAMES[:3]]
    assert sizes[1] > 3 * sizes[0]
    assert sizes[2] > 3 * sizes[1]
    assert sum(p.stat().st_size for p in FOLDER.iterdir()) < 6_000_000
    assert card(NAMES[3]).file.stat().st_size < 0.35 * card(NAMES[2]).file.stat().st_size


@pytest.mark.parametrize("name", NAMES)
def test_a_card_tells_the_recipe_and_what_was_measured(name: str) -> None:
    facts = card(name).facts
    model = load(name).model
    assert facts["parameters"] == card(name).shape.parameters
    held = model.embed.size + sum(w.size for la in model.layers for w in (la.qkv, la.out, la.up, la.down))
    assert held == facts["parameters"]
    assert {"recipe", "data_seed", "training", "torch", "measured_seed", "positions"} <= set(facts)
    for family in FAMILIES:
        assert set(measured(name)[family]) == set("12345")


@pytest.mark.parametrize("name", NAMES)
def test_loading_takes_under_300_ms(name: str) -> None:
    began = time.process_time()
    load.__wrapped__(name, FOLDER)
    assert time.process_time() - began < 0.3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_abilities_are_those_of_the_card(name: str, n: int) -> None:
    """20 cells a model: a shift of 4.2 standard errors in one would happen by chance once in 2,000 models."""
    again = measure(Engine.named(name), n, seed=99)
    for family, levels in measured(name).items():
        for level, told in levels.items():
            for what in ("right", "dont_know"):
                got = again[family][level]
                pooled = (told[what] + got[what] + 1) / (told["n"] + got["n"] + 2)
                error = math.sqrt(pooled * (1 - pooled) * (1 / told["n"] + 1 / got["n"]))
                p, q = told[what] / told["n"], got[what] / got["n"]
                assert abs(p - q) < 4.2 * error, (
                    f"{name} {family} {level} {what}: card {p:.3f}, now {q:.3f}, n={n}"
                )


def test_a_larger_model_is_better() -> None:
    rights = [np.sum([total(name, f) for f in FAMILIES], axis=0) for name in NAMES[:3]]
    for (a, n), (b, m) in itertools.pairwise(rights):
        pooled = (a + b) / (n + m)
        z = (b / m - a / n) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        assert z > 5, f"{a}/{n} then {b}/{m}: z = {z:.1f}"
    for family in FAMILIES:
        shares = [right / n for right, n in (total(name, family) for name in NAMES[:3])]
        assert shares == sorted(shares), family


def test_options_are_chosen_better_than_by_chance_and_never_all_rightly() -> None:
    for name in NAMES[1:]:
        right, n = total(name, "choice")
        assert right / n > 0.25 + 10 * math.sqrt(0.25 * 0.75 / n), f"{name}: {right} of {n}"
        assert right / n < 0.9, f"{name}: {right} of {n}"


def test_harder_levels_are_harder() -> None:
    for name in NAMES:
        for family in ("arithmetic", "strings"):
            cells = measured(name)[family]
            easy, hard = cells["1"], cells["5"]
            assert easy["right"] / easy["n"] > hard["right"] / hard["n"], (name, family)


def test_the_quantised_copy_is_measurably_a_bit_worse() -> None:
    right = [sum(total(name, f)[0] for f in FAMILIES) for name in NAMES[2:]]
    n = sum(total(NAMES[2], f)[1] for f in FAMILIES)
    assert 0.005 < (right[0] - right[1]) / n < 0.15, f"{right} of {n}"
    whole, copy = load(NAMES[2]).model, load(NAMES[3]).model
    for a, b in zip(whole.layers, copy.layers, strict=True):
        error = float(np.linalg.norm(a.up - b.up) / np.linalg.norm(a.up))
        assert 0.02 < error < 0.2


def test_dont_know_is_for_what_was_never_taught_and_guessing_can_be_asked_for() -> None:
    for name in NAMES:
        cells = measured(name)["facts"]
        assert cells["5"]["dont_know"] > 0.5 * cells["5"]["n"]
        assert cells["1"]["dont_know"] < 0.05 * cells["1"]["n"]
        guessing = measure(Engine.named(name), 40, system="If you are unsure, guess.")["facts"]["5"]
        assert guessing["dont_know"] / guessing["n"] < 0.5 * cells["5"]["dont_know"] / cells["5"]["n"]


def test_a_letter_that_is_asked_for_is_more_often_that_of_the_first_option_than_of_the_last() -> None:
    for name in NAMES:
        seen = card(name).facts["positions_letter_asked"]
        assert isinstance(seen, dict)
        assert seen["A"] > 1.2 * seen["D"], name


def test_the_place_of_the_right_option_matters_most_to_the_smallest_and_still_to_the_largest() -> None:
    lean = []
    for name in NAMES[:3]:
        seen = card(name).facts["positions"]
        assert isinstance(seen, dict)
        lean.append((seen["A"] - seen["D"]) / sum(seen[x] for x in "ABCD"))
    assert lean[0] > 0.5
    assert 0.02 < lean[2] < 0.2


def test_the_prompt_of_a_judge_fits_the_context() -> None:
    judges = (
        Rubric(RubricOptions(type="rubric", criteria=(Criterion("correct", 3), Criterion("brief", 1)))),
        Pairwise(PairwiseOptions(type="pairwise", criteria=("correct", "brief"))),
    )
    engine = Engine.named("steelyard-micro")
    read: list[int] = []

    async def call(role: str, messages: tuple[Message, ...], seed: int) -> Reply:
        turns = [(m.role, text_of(m)) for m in messages]
        made = engine.answer(turns, Sampling(8, 0.0))
        read.append(made.prompt_tokens)
        return Reply(text=made.text)

    task = Task(id="t", input="Which river runs through Norbunk?", target="Amber")
    for judge in judges:
        for answer in ("Amber", "I have thought about it. " * 40):
            score = asyncio.run(judge.judge(Item(task=task, reply=Reply(text=answer), seed=3), call))
            assert score.outcome is Outcome.UNGRADED
    assert len(read) == 4
    assert min(read) > 512


def test_models_are_noisy_at_temperature_one() -> None:
    row = json.loads((SUITES / "arithmetic.jsonl").read_text(encoding="utf-8").splitlines()[200])
    engine = Engine.named("steelyard-micro")
    said = {engine.answer([("user", row["input"])], Sampling(12, 1.0, seed=s)).text for s in range(30)}
    assert len(said) > 3


def test_quantised_numbers_come_back_within_half_a_step() -> None:
    weights = np.random.default_rng(0).normal(size=(6, 256)).astype(np.float16)
    weights[2] = 0
    back = unpack({f"w.{k}": v for k, v in quantise(weights).items()})["w"]
    step = np.abs(weights.astype(np.float32).reshape(-1, GROUP)).max(1) / 7
    worst = np.abs(back - weights).reshape(-1, GROUP).max(1)
    assert back.shape == (6, 256)
    assert np.all(worst <= 0.51 * step + 1e-3)


def test_weights_that_are_not_the_cards_are_refused(tmp_path: Path) -> None:
    for suffix in (".json", ".npz"):
        (tmp_path / f"{NAMES[0]}{suffix}").write_bytes((FOLDER / f"{NAMES[0]}{suffix}").read_bytes())
    data = bytearray((tmp_path / f"{NAMES[0]}.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / f"{NAMES[0]}.npz").write_bytes(data)
    with pytest.raises(DataError, match="sha256"):
        load(NAMES[0], tmp_path)
    with pytest.raises(UserError, match="steelyard-nano"):
        load("gpt-9", tmp_path)


def test_the_documented_table_is_the_cards() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "concepts" / "embedded-models.md"
    assert table([card(n).facts for n in NAMES]) in page.read_text(encoding="utf-8")
