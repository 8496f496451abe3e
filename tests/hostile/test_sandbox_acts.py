"""Acts inside a sandbox: none gets through, and each does without the measure that stops it. As root and not."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.sandbox.people import ROOT, environment, interpreter

ACTS = yaml.safe_load(Path(__file__).with_name("acts.yaml").read_text(encoding="utf-8"))


@cache
def outcomes(who: str) -> dict[str, Any]:
    """One run of all acts as `who`; memory and processes of the driver itself are bounded too."""
    argv = ["sh", "-c", 'ulimit -v 8000000 && exec "$@"', "sh", *interpreter(who)]
    argv.append(str(ROOT / "tests" / "hostile" / "drive.py"))
    done = subprocess.run(argv, env=environment(), cwd="/", capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


def test_there_are_at_least_forty_acts() -> None:
    assert len({act["name"] for act in ACTS}) >= 40


@pytest.mark.parametrize("who", ["root", "user"])
@pytest.mark.parametrize("act", ACTS, ids=[act["name"] for act in ACTS])
def test_act(who: str, act: dict[str, Any]) -> None:
    if not interpreter(who):
        pytest.skip(f"no interpreter that {who} may run")
    found = outcomes(who)[act["name"]]
    assert not found["through"], found
    if found["skipped"]:
        pytest.skip(f"held, but cannot be shown to work without the measure: {found['skipped']}")
    if "weak_through" in found:
        assert found["weak_through"], f"it does not work without the measure either: {found}"
    else:
        assert who == "user"
        assert act.get("root_only")
