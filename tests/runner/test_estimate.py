"""What a plan can cost at the most, against figures counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.hostile.kit import write_plan, write_tasks

from steelyard.runner.estimate import Estimate, estimate
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import Renderer, prepare
from steelyard.unknown import Unknown

PRICE = {"input": 10, "output": 30}
ONE = {"model": "m", "base_url": "http://127.0.0.1:1/v1", "max_tokens": 100, "price": PRICE}


def of(folder: Path, **plan: object) -> Estimate:
    write_tasks(folder, [{"input": "12345", "target": "B"}, {"input": "ünï", "target": "B"}])
    ready = prepare(
        read_plan(write_plan(folder, {"suites": ["data.jsonl"], "contestants": [ONE], **plan}), {})
    )
    return estimate(ready, Renderer(ready))


def test_the_worst_case_of_a_plan_is_what_a_hand_counts(tmp_path: Path) -> None:
    """A token is at least a byte; 64 a call and 16 a message are added: 5 and 5 bytes, twice, 3 trials."""
    found = of(tmp_path, trials=3)
    tokens_in = 2 * 3 * (5 + 64 + 16)
    assert found.worst_tokens == tokens_in + 2 * 3 * 100
    assert found.worst_pusd == 10_000_000 * tokens_in + 30_000_000 * 600
    assert found.per_contestant == (("m", 6, found.worst_pusd),)


def test_a_system_message_a_dearer_tier_and_a_price_a_call_count(tmp_path: Path) -> None:
    price = {**PRICE, "cache_write": 12.5, "above_tokens": 1000, "above_output": 60, "per_call": 0.01}
    found = of(tmp_path, contestants=[{**ONE, "system": "Be brief.", "price": price}])
    assert found.worst_pusd == 2 * (12_500_000 * (9 + 5 + 64 + 32) + 60_000_000 * 100 + 10_000_000_000)


@pytest.mark.parametrize("scorer", ["rubric", "pairwise", "panel"])
def test_judges_are_counted_when_their_calls_have_a_bound(scorer: str, tmp_path: Path) -> None:
    judge = {**ONE, "model": "j", "context_tokens": 4000}
    rubric = {"type": "rubric", "role": "boss", "criteria": [{"name": "good"}]}
    pairwise = {"type": "pairwise", "role": "boss", "reference": "target"}
    spec = {
        "rubric": rubric,
        "pairwise": pairwise,
        "panel": {"type": "panel", "of": {"a": rubric, "b": pairwise}},
    }
    calls = {"rubric": 1, "pairwise": 2, "panel": 3}[scorer] * 2
    suites = [{"source": "data.jsonl", "scorer": spec[scorer]}]
    alone = of(tmp_path).worst_pusd
    assert isinstance(alone, int)
    found = of(tmp_path, suites=suites, judges={"boss": judge})
    one = 10_000_000 * 4000 + 30_000_000 * 100
    assert found.per_judge == (("boss", calls, calls * one),)
    assert found.worst_pusd == alone + calls * one
    unbounded = of(tmp_path, suites=suites, judges={"boss": {**ONE, "model": "j"}})
    assert isinstance(unbounded.worst_pusd, Unknown), "a judge may be given any length to read"
    free = of(tmp_path, suites=suites, judges={"boss": {**ONE, "price": {"input": 0, "output": 0}}})
    assert free.worst_pusd == alone


def test_examples_that_differ_in_length_are_counted_as_drawn(tmp_path: Path) -> None:
    rows = [{"input": "x" * (10 ** (i % 4)), "target": "B"} for i in range(12)]
    write_tasks(tmp_path, rows, "long.jsonl")
    plan = {
        "suites": [{"source": "long.jsonl", "limit": 1}],
        "contestants": [{**ONE, "few_shot": 2}],
        "trials": 20,
    }
    ready = prepare(read_plan(write_plan(tmp_path, plan), {}))
    render = Renderer(ready)
    found = estimate(ready, render)
    single = estimate(prepare(read_plan(write_plan(tmp_path, {**plan, "trials": 1}), {})), render)
    assert isinstance(found.worst_tokens, int)
    assert isinstance(single.worst_tokens, int)
    assert found.worst_tokens != 20 * single.worst_tokens
