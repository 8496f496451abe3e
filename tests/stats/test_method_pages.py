"""The code on the pages about methods runs as written, and every page says what it must say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / "docs" / "concepts" / "methods"
NAMES = [
    "abstention",
    "clusters",
    "conditions",
    "coverage-bounds",
    "equivalence",
    "exact-tests",
    "lifecycle",
    "means",
    "multiplicity",
    "paired",
    "pass-at-k",
    "rare-failures",
    "rates",
    "two-level",
]


@pytest.mark.parametrize("name", NAMES)
def test_code_on_the_page_runs(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks, "a page about a method shows how to call it"
    for block in blocks:
        exec(compile(block, f"{name}.md", "exec"), {})


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_when_how_and_what_not(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    for heading in (
        "**When it is right.**",
        "**Formula.**",
        "**Our deviation.**",
        "**What it does not cover.**",
    ):
        assert heading in text, heading


def test_links_lead_to_pages() -> None:
    concepts = PAGES.parent
    for page in [
        *(PAGES / f"{n}.md" for n in NAMES),
        concepts / "what-a-number-means.md",
        PAGES / "coverage.md",
    ]:
        for target in re.findall(r"\]\(([^)#:]+\.md)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
