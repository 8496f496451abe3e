"""Runs a plan in children that are killed at random instants, until it is complete. One process imports, its forks run.

usage: python killer.py LEDGER PLAN KILLS SEED LONGEST   (prints one JSON line)

The parent has no threads and no event loop, so forking it is safe; each child opens the ledger and the sockets anew.
A child that ends by itself before its instant is counted as finished.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from steelyard.ledger import open_ledger
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.session import Options, begin, take_up


def child(place: str, plan: str) -> None:
    try:
        ledger = open_ledger(place)
        options = Options({}, signals=False, control=False)
        if ledger.runs():
            asyncio.run(take_up(ledger, "last", options))
        else:
            asyncio.run(begin(prepare(read_plan(Path(plan), {})), ledger, options))
    except BaseException:
        traceback.print_exc()
        os._exit(9)
    os._exit(0)


def main() -> None:
    place, plan, kills, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    rng, longest = random.Random(seed), float(sys.argv[5])
    killed = finished = 0
    while killed < kills:
        pid = os.fork()
        if pid == 0:
            child(place, plan)
        time.sleep(rng.uniform(0.005, longest))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.WEXITSTATUS(status) == 0:
            finished += 1
            break
        else:
            print(json.dumps({"error": f"a child ended with {os.WEXITSTATUS(status)}", "killed": killed}))
            return
    pid = os.fork()
    if pid == 0:
        child(place, plan)
    _, status = os.waitpid(pid, 0)
    print(json.dumps({"killed": killed, "finished_early": finished, "last": os.WEXITSTATUS(status)}))


main()
