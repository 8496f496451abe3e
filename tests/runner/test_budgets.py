"""Start-up is light: help is quick, and nothing heavy is loaded before the first request is on its way."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

SEEN = """
import asyncio, json, sys
from pathlib import Path
from steelyard.contestants.base import Answer
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.session import Options, begin
from steelyard.ledger import open_ledger
from steelyard.schema.reply import Reply
from steelyard.testing.runs import ScriptedExecutor

loaded = []
def script(c, ask):
    if not loaded:
        loaded.extend(m for m in ("numpy", "scipy", "rich", "jsonschema", "pyarrow", "ray", "psycopg") if m in sys.modules)
        loaded.append("-")
    return Answer(Reply(text="1"))
folder = Path(sys.argv[1])
options = Options({}, executor=ScriptedExecutor(script), signals=False, control=False)
asyncio.run(begin(prepare(read_plan(folder / "plan.yaml", {})), open_ledger(str(folder / "led")), options))
print(json.dumps(loaded))
"""


def test_nothing_heavy_is_imported_before_the_first_request(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"input": "1", "target": "1"}\n')
    (tmp_path / "plan.yaml").write_text(
        'suites: [d.jsonl]\ncontestants: [{model: m, base_url: "http://127.0.0.1:9/v1"}]\n'
    )
    out = subprocess.run(
        [sys.executable, "-c", SEEN, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(out.stdout) == ["-"]


def test_help_takes_under_a_fifth_of_a_second_of_cpu() -> None:
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "steelyard", "--help"], capture_output=True, timeout=60, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    # CPU and the best of five: wall time says more about the neighbours than about us
    assert min(spent) < 0.2, spent


MEMORY = """
import asyncio, resource, sys
from steelyard.contestants.base import Answer
from steelyard.schema.reply import Reply, Usage
from steelyard.testing.runs import ScriptedExecutor
from pathlib import Path
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.session import Options, begin
from steelyard.ledger import open_ledger
folder = Path(sys.argv[1])
executor = ScriptedExecutor(lambda c, ask: Answer(Reply(text="1", usage=Usage(3, 1))))
executor.asked = type("Forgetful", (list,), {"append": lambda self, x: None})()
options = Options({}, executor=executor, signals=False, control=False)
asyncio.run(begin(prepare(read_plan(folder / "plan.yaml", {})), open_ledger(str(folder / "led")), options))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def test_memory_does_not_grow_with_trials(tmp_path: Path) -> None:
    peaks = []
    for n in (1_000, 30_000):
        folder = tmp_path / str(n)
        folder.mkdir()
        with (folder / "d.jsonl").open("w") as f:
            f.writelines(
                json.dumps({"id": str(i), "input": f"q {i}", "target": "1"}) + "\n" for i in range(n)
            )
        (folder / "plan.yaml").write_text(
            'suites: [d.jsonl]\nconcurrency: 64\ncontestants: [{model: m, base_url: "http://127.0.0.1:9/v1"}]\n'
        )
        out = subprocess.run(
            [sys.executable, "-c", MEMORY, str(folder)], capture_output=True, text=True, timeout=200, check=True,
            env={**os.environ, "MALLOC_ARENA_MAX": "2"},
        )  # fmt: skip
        peaks.append(float(out.stdout))
    assert peaks[1] - peaks[0] < 15, f"peak MB at 1,000 and 30,000 trials: {peaks}"
