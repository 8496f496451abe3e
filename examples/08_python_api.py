"""The same from Python: a plan, a run, and every figure with its interval and method.

Run it: `python examples/08_python_api.py`. Offline; a few seconds.
"""

import asyncio
import tempfile
from pathlib import Path

from steelyard.ledger import open_ledger
from steelyard.runner.planfile import parse_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.results import results
from steelyard.runner.session import Options, begin
from steelyard.tasks import yamldoc
from steelyard.unknown import Unknown

PLAN = """
name: from Python
suites: [{source: "builtin:facts", limit: 30}]
contestants: [embedded/steelyard-nano, embedded/steelyard-small]
"""


def main() -> None:
    """Prepare, run, read."""
    ready = prepare(parse_plan(yamldoc.parse(PLAN, "plan"), Path.cwd(), {}))
    with tempfile.TemporaryDirectory() as folder:
        ledger = open_ledger(str(Path(folder, "ledger")))
        outcome = asyncio.run(begin(ready, ledger, Options({})))
        found = results(ledger, outcome.run)
        for line in found.board.overall:
            e = line.estimate
            if isinstance(e.value, Unknown) or isinstance(e.interval, Unknown):
                print(f"{line.contestant}: unknown")  # a figure that cannot be given is never 0
                continue
            print(
                f"{line.contestant}: {e.value:.3f}, {e.interval.low:.3f} to {e.interval.high:.3f} ({e.interval.method})"
            )
        print(found.board.sentence)
        ledger.close()


if __name__ == "__main__":
    main()
