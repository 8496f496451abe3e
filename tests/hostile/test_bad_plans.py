"""Plans that are wrong in many ways: each error names the file and line, what was wanted, what was found, what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steelyard.errors import UserError
from steelyard.runner.base import Prepared
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare

SUITE = "suites: [data.jsonl]\n"
ONE = 'contestants: [{model: m, base_url: "http://127.0.0.1:1/v1"}]\n'
PRICED = 'contestants: [{model: m, base_url: "http://127.0.0.1:1/v1", price: {input: 1, output: 1}}]\n'


def one(**more: str) -> str:
    """A plan's contestant with these keys, as YAML."""
    own = {"model": "m", "base_url": '"http://127.0.0.1:1/v1"', **more}
    return "contestants: [{" + ", ".join(f"{k}: {v}" for k, v in own.items()) + "}]\n"


# name: (plan, where it must point, words that must be in the message)
WRONG: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "not yaml": ("suites: [data.jsonl\n", "plan.yaml:", ("not valid YAML",)),
    "empty file": ("", "plan.yaml", ("empty",)),
    "a list": ("- a\n- b\n", "plan.yaml:1", ("not a mapping",)),
    "no suites": (ONE, "plan.yaml:1", ("no `suites`",)),
    "no contestants": (SUITE, "plan.yaml:1", ("no `contestants`",)),
    "typo in a key": (SUITE + ONE + "trails: 3\n", "plan.yaml:3", ("unknown key `trails`", "did you mean `trials`")),
    "duplicate key": (SUITE + ONE + "seed: 1\nseed: 2\n", "plan.yaml:4", ("stands twice",)),
    "trials is text": (SUITE + ONE + "trials: many\n", "plan.yaml:3", ("whole number", "many")),
    "trials zero": (SUITE + ONE + "trials: 0\n", "plan.yaml:3", ("from 1 to 255",)),
    "trials negative": (SUITE + ONE + "trials: -2\n", "plan.yaml:3", ("-2",)),
    "trials fraction": (SUITE + ONE + "trials: 1.5\n", "plan.yaml:3", ("whole number",)),
    "count and until": (SUITE + ONE + "trials: {count: 2, until: 0.1}\n", "plan.yaml:3", ("exclude each other",)),
    "at_most without until": (SUITE + ONE + "trials: {at_most: 9}\n", "plan.yaml:3", ("belongs to `until`",)),
    "until too wide": (SUITE + ONE + "trials: {until: 2}\n", "plan.yaml:3", ("0.5",)),
    "until nan": (SUITE + ONE + "trials: {until: .nan}\n", "plan.yaml:3", ("number",)),
    "at_least over at_most": (
        SUITE + ONE + "trials: {until: 0.1, at_least: 9, at_most: 3}\n", "plan.yaml:3", ("above `at_most`",),
    ),
    "wrong estimand": (
        SUITE + ONE + "trials: {until: 0.1, estimand: task}\n", "plan.yaml:3", ("tasks | population", "did you mean"),
    ),
    "cap on unpriced": (SUITE + ONE + "caps: {money: 1}\n", "plan.yaml:2", ("has no price", "price:")),
    "cap on unbounded": (SUITE + PRICED + "caps: {money: 1}\n", "plan.yaml:2", ("without end", "max_tokens")),
    "token cap on unbounded": (SUITE + ONE + "caps: {tokens: 9}\n", "plan.yaml:2", ("max_tokens",)),
    "negative cap": (SUITE + PRICED + "caps: {money: -1}\n", "plan.yaml:3", ("out of range",)),
    "seconds and minutes": (SUITE + ONE + "caps: {seconds: 1, minutes: 1}\n", "plan.yaml:3", ("exclude each other",)),
    "price without output": (
        SUITE + 'contestants: [{model: m, base_url: "http://h/v1", price: {input: 1}}]\n', "plan.yaml:2", ("`output`",),
    ),
    "price is text": (
        SUITE + 'contestants: [{model: m, base_url: "http://h/v1", price: cheap}]\n', "plan.yaml:2", ("not a mapping",),
    ),
    "no base url": (SUITE + "contestants: [some-model]\n", "plan.yaml:2", ("where is `some-model` served",)),
    "url is no url": (SUITE + "contestants: [{model: m, base_url: localhost}]\n", "plan.yaml:2", ("http://",)),
    "url with key": (
        SUITE + 'contestants: [{model: m, base_url: "http://u:sk-12@h/v1"}]\n', "plan.yaml:2", ("credential", "key_env"),
    ),
    "unknown dialect": (
        SUITE + 'contestants: [{model: m, base_url: "http://h", dialect: openai}]\n', "plan.yaml:2", ("openai-chat",),
    ),
    "url with a space": (SUITE + one(base_url='"http://h :1/v1"'), "plan.yaml:2", ("a space",)),
    "url with a line end": (SUITE + one(base_url='"http://h/v1\\nX: y"'), "plan.yaml:2", ("a space",)),
    "header with a line end": (
        SUITE + one(headers='{X: "a\\r\\nY: b"}'), "plan.yaml:2 (contestants[0].headers.X)", ("control characters",),
    ),
    "a key for its variable": (SUITE + one(key_env="sk-12345678901234567890"), "plan.yaml:2", ("MY_KEY", "***")),
    "a key under a harmless header": (
        SUITE + one(headers='{X-Team: "sk-12345678901234567890"}'), "plan.yaml:2", ("credential", "***"),
    ),
    "variable of the key is not set": (SUITE + one(key_env="NOPE"), "plan.yaml:2", ("NOPE is not set", "export NOPE")),
    "limits of nobody": (SUITE + ONE + "limits: {other: {concurrency: 1}}\n", "plan.yaml:3", ("127.0.0.1:1", "other")),
    "a matrix without models": (
        SUITE + one(matrix="{models: []}"), "plan.yaml:2 (contestants[0].matrix.models)", ("without values",),
    ),
    "a tag": (
        'suites: !!python/object/apply:os.system ["id"]\n' + ONE, "plan.yaml:1", ("a tag", "leave the tag out"),
    ),
    "a merge": (SUITE + ONE + "caps: {<<: {tokens: 1}}\n", "plan.yaml:3", ("write its keys out",)),
    "no value for suites": ("suites:\n" + ONE, "plan.yaml:1 (suites)", ("at least one",)),
    "a whole number that is true": (SUITE + ONE + "concurrency: true\n", "plan.yaml:3", ("from 1 to 4096",)),
    "a template without a field": (SUITE + one(template="hello"), "plan.yaml:2", ("shows nothing", "{input}")),
    "a brace in a template": (SUITE + one(template='"{input"'), "plan.yaml:2", ("a brace that is no field",)),
    "a pattern": (
        'suites: [{source: data.jsonl, scorer: {type: regex, pattern: "("}}]\n' + ONE, "plan.yaml:1 (suites[0])",
        ("not a regular expression", "single quotes"),
    ),
    "a split without tasks": (
        "suites: [{source: data.jsonl, split: held_out}]\n" + ONE, "plan.yaml:1 (suites[0])", ("no held_out tasks",),
    ),
    "a recording that is not there": (
        SUITE + "contestants: [{name: r, recording: nope.jsonl}]\n", "plan.yaml:2", ("nope.jsonl", "check the path"),
    ),
    "data on the web": (
        "suites: ['https://h/d.jsonl']\n" + ONE, "https:/h/d.jsonl", ("not downloaded", "fetch it"),
    ),
    "an embedded model": (SUITE + "contestants: [embedded/nope]\n", "plan.yaml:2", ("steelyard-nano",)),
    "an application's file": (
        SUITE + 'contestants: [{name: r, callable: "nope.py:f"}]\n', "plan.yaml:2", ("no such file",),
    ),
    "nothing in a contestant": (SUITE + "contestants: [{temperature: 1}]\n", "plan.yaml:2", ("without a model",)),
    "two kinds": (SUITE + "contestants: [{callable: 'a:b', url: 'http://h'}]\n", "plan.yaml:2", ("more than one kind",)),
    "same name twice": (SUITE + ONE.replace("]", ', {model: m, base_url: "http://127.0.0.1:1/v1"}]'), "plan.yaml:2", ("two contestants",)),
    "temperature too high": (
        SUITE + 'contestants: [{model: m, base_url: "http://h", temperature: 9}]\n', "plan.yaml:2", ("from 0 to 2",),
    ),
    "unknown baseline": (SUITE + ONE + "baseline: gpt\n", "plan.yaml:3", ("not a value that is known",)),
    "unknown prompt": (
        SUITE + 'contestants: [{model: m, base_url: "http://h", prompt: cot}]\n', "plan.yaml:2", ("no prompt of that name",),
    ),
    "prompt and system": (
        SUITE + 'contestants: [{model: m, base_url: "http://h", prompt: "{input}", system: s}]\n', "plan.yaml:2", ("beside",),
    ),
    "template field missing": (
        SUITE + 'contestants: [{model: m, base_url: "http://h", template: "{question}"}]\n', "plan.yaml:2", ("question", "input"),
    ),
    "empty matrix": (SUITE + "contestants: [{matrix: {}}]\n", "plan.yaml:2", ("empty matrix",)),
    "unknown embedded": (SUITE + "contestants: [embedded/gpt-9]\n", "gpt-9", ("no such embedded model", "steelyard-nano")),
    "no such suite": ("suites: [nothing.jsonl]\n" + ONE, "nothing.jsonl", ("no such file",)),
    "no such builtin": ("suites: ['builtin:maths']\n" + ONE, "maths", ("arithmetic",)),
    "no such split": ("suites: [{source: data.jsonl, split: test}]\n" + ONE, "plan.yaml:1", ("public | held_out | all",)),
    "split without tasks": ("suites: [{source: data.jsonl, split: held_out}]\n" + ONE, "", ("no held_out tasks",)),
    "limit zero": ("suites: [{source: data.jsonl, limit: 0}]\n" + ONE, "plan.yaml:1", ("from 1",)),
    "unknown scorer": ("suites: [{source: data.jsonl, scorer: exakt}]\n" + ONE, "plan.yaml:1", ("did you mean `exact`",)),
    "scorer option wrong": (
        "suites: [{source: data.jsonl, scorer: {type: numeric, tolerence: 1}}]\n" + ONE, "plan.yaml:1", ("tolerence",),
    ),
    "scorer cannot judge": (
        "suites: [{source: data.jsonl, scorer: choice}]\n" + ONE, "data.jsonl", ("choices",),
    ),
    "judge not cast": (
        "suites: [{source: data.jsonl, scorer: {type: rubric, criteria: [{name: good}], role: jury}}]\n" + ONE,
        "plan.yaml:1", ("jury", "judges"),
    ),
    "a matrix of judges": (
        SUITE + ONE + "judges: {jury: {base_url: 'http://h', matrix: {models: [a, b]}}}\n", "plan.yaml:3", ("exactly one judge",),
    ),
    "recording missing": (SUITE + "contestants: [{recording: gone.jsonl}]\n", "gone.jsonl", ("cannot be read",)),
    "function without name": (SUITE + "contestants: [{callable: app}]\n", "app", ("module:function",)),
    "concurrency zero": (SUITE + ONE + "concurrency: 0\n", "plan.yaml:3", ("from 1",)),
    "limit of a provider": (SUITE + ONE + "limits: {h: {rpm: 3}}\n", "plan.yaml:3", ("unknown key `rpm`",)),
    "alias bomb": (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
        "g: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n", "plan.yaml:", ("too many values",),
    ),
    "python object": ("suites: !!python/object/apply:os.system [id]\n" + ONE, "", ()),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_plan_is_refused_with_place_and_remedy(name: str, tmp_path: Path) -> None:
    text, where, words = WRONG[name]
    plan = tmp_path / "plan.yaml"
    plan.write_text(text)
    (tmp_path / "data.jsonl").write_text(json.dumps({"input": "1+1", "target": "2"}) + "\n")
    with pytest.raises(UserError) as caught:
        ready = prepare(read_plan(plan, {}))
        open_all(ready)
    message = str(caught.value)
    assert where in message, message
    for word in words:
        assert word in message, message
    assert "sk-12" not in message


def open_all(ready: Prepared) -> None:
    """Some mistakes show only when a contestant is made; nothing is sent."""
    import asyncio

    from steelyard.runner.local import LocalExecutor

    async def go() -> None:
        executor = LocalExecutor({}, where=ready.where)
        try:
            await executor.start(ready.plan.contestants)
        finally:
            await executor.stop()

    asyncio.run(go())


def test_there_are_forty_of_them() -> None:
    assert len(WRONG) >= 40
