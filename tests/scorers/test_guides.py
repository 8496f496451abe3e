"""The guides of suites and scorers: every example runs, and every option of the code is described."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steelyard.scorers.build import TYPES
from steelyard.scorers.choice import ChoiceOptions
from steelyard.scorers.common import Options
from steelyard.scorers.composite import CompositeOptions
from steelyard.scorers.exact import ExactOptions
from steelyard.scorers.f1 import F1Options
from steelyard.scorers.includes import IncludesOptions
from steelyard.scorers.json_schema import JsonSchemaOptions
from steelyard.scorers.numeric import NumericOptions
from steelyard.scorers.pairwise import PairwiseOptions
from steelyard.scorers.panel import PanelOptions
from steelyard.scorers.python import PythonOptions
from steelyard.scorers.regex import RegexOptions
from steelyard.scorers.rubric import RubricOptions
from steelyard.scorers.tool_calls import ToolCallOptions
from steelyard.tasks.options import ROLES, LoadOptions

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
BLOCK = re.compile(r"(?:`([\w.]+)`:\n\n)?```(\w+)\n(.*?)```", re.DOTALL)
OPTIONS: tuple[type[Options], ...] = (
    ChoiceOptions, CompositeOptions, ExactOptions, F1Options, IncludesOptions, JsonSchemaOptions, NumericOptions,
    PairwiseOptions, PanelOptions, PythonOptions, RegexOptions, RubricOptions, ToolCallOptions,
)  # fmt: skip


@pytest.mark.parametrize("name", ["suites.md", "scorers.md"])
def test_every_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((GUIDES / name).read_text(encoding="utf-8"))
    assert len(blocks) >= 5
    names: dict[str, object] = {}
    for file, language, text in blocks:
        if file:
            Path(file).write_text(text, encoding="utf-8")
        else:
            assert language == "python", f"a {language} block without a file name"
            exec(compile(text, name, "exec"), names)


def test_every_option_of_a_suite_is_described() -> None:
    text = (GUIDES / "suites.md").read_text(encoding="utf-8")
    missing = [o for o in (*LoadOptions.__struct_fields__, *ROLES) if f"`{o}`" not in text]
    assert not missing


def test_every_scorer_and_every_option_of_it_is_described() -> None:
    text = (GUIDES / "scorers.md").read_text(encoding="utf-8")
    options = {o for kind in OPTIONS for o in kind.__struct_fields__} - {"type"}
    missing = [o for o in (*TYPES, *sorted(options)) if f"`{o}`" not in text and f"`{o}:" not in text]
    assert not missing
