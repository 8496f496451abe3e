"""A complete gate: two small models answer the same tasks, and a rule decides whether the new one may ship.

Run it: `python examples/01_gate.py`. Offline; about ten seconds. Prints the interval of the paired difference and ends
with the exit code of the gate: 0 pass, 10 regression, 11 undecided, 12 below coverage.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

PLAN = """
name: may the new model ship?
suites: [{source: "builtin:strings", limit: 60}]
contestants:
  - {name: old, model: embedded/steelyard-nano, max_tokens: 24, temperature: 0.7}
  - {name: new, model: embedded/steelyard-micro, max_tokens: 24, temperature: 0.7}
trials: 2
baseline: old
"""
RULE = """
gate: regression
baseline: old
margin: 0.05      # how much worse is still accepted
coverage: 0.95    # below this share of graded trials nothing is judged
"""


def steelyard(*words: str) -> int:
    """The exit code of a command."""
    return subprocess.run([sys.executable, "-m", "steelyard", *words], check=False).returncode


def main() -> int:
    """Measure, then judge."""
    with tempfile.TemporaryDirectory() as folder:
        plan, rule, ledger = Path(folder, "plan.yaml"), Path(folder, "rule.yaml"), str(Path(folder, "ledger"))
        plan.write_text(PLAN)
        rule.write_text(RULE)
        ran = steelyard("run", str(plan), "--ledger", ledger)
        return ran or steelyard("gate", str(rule), "last", "--ledger", ledger)


if __name__ == "__main__":
    sys.exit(main())
