"""The pages follow the code: every command and plan key is documented, every example parses, every shell block runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tools import reference

from steelyard.cli.main import COMMANDS, main
from steelyard.runner.planfile import parse_plan
from steelyard.tasks import yamldoc

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(kind: str, mark: str = "") -> list[tuple[Path, str]]:
    out = []
    for page in PAGES:
        for match in FENCE.finditer(page.read_text(encoding="utf-8")):
            if match.group(1) == kind and mark in match.group(2).split():
                out.append((page, match.group(3)))
    return out


def test_the_commands_page_is_what_the_code_says() -> None:
    assert reference.run(check=True) == 0, (
        "docs/reference/commands.md is out of date: python tools/reference.py"
    )


def test_every_key_of_a_plan_file_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "plan-file.md").read_text(encoding="utf-8")
    said = set(re.findall(r"`(\w+)`", text))
    missing = {
        f"{where}.{key}" for where, keys in reference.plan_keys().items() for key in keys if key not in said
    }
    assert not missing


@pytest.mark.parametrize(
    ("page", "text"),
    [pytest.param(p, t, id=f"{p.name}-{i}") for i, (p, t) in enumerate(blocks("yaml", "plan"))],
)
def test_plans_in_the_pages_are_plans(page: Path, text: str) -> None:
    assert parse_plan(yamldoc.parse(text, page.name), ROOT, {}).plan.contestants


def command_lines() -> list[tuple[str, list[str]]]:
    out = []
    for page in PAGES:
        for match in FENCE.finditer(page.read_text(encoding="utf-8")):
            if match.group(1) not in ("sh", "console", "bash", "shell"):
                continue
            text = match.group(3).replace("\\\n", " ")
            for line in text.splitlines():
                said = line.removeprefix("$ ").strip()
                if said.startswith("steelyard "):
                    out.append((page.name, shlex.split(said, comments=True)[1:]))
    return out


def test_every_command_in_the_pages_exists_with_its_options() -> None:
    wrong = []
    ctx = click.Context(main)
    for page, words in command_lines():
        command: click.Command | None = main.get_command(ctx, words[0]) if words[0] in COMMANDS else None
        if words[0].startswith("-"):
            continue
        rest = words[1:]
        while isinstance(command, click.Group) and rest:
            command, rest = command.get_command(ctx, rest[0]), rest[1:]
        if command is None:
            wrong.append(f"{page}: steelyard {' '.join(words)}: no such command")
            continue
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
        for word in rest[: rest.index("--")] if "--" in rest else rest:
            if word.startswith("--") and word.split("=")[0] not in known:
                wrong.append(f"{page}: steelyard {words[0]} has no {word}")
    assert not wrong


@pytest.mark.executes
@pytest.mark.parametrize(
    ("page", "script"),
    [pytest.param(p, t, id=f"{p.name}-{i}") for i, (p, t) in enumerate(blocks("sh", "run"))],
)
def test_shell_blocks_run(page: Path, script: str, tmp_path: Path) -> None:
    binary = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'export PATH="{binary}:$PATH"\n{script}'],
        cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{page.name}:\n{script}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert not broken


def test_agents_file_is_short() -> None:
    assert len((ROOT / "AGENTS.md").read_text(encoding="utf-8").split()) <= 400
