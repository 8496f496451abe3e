"""What every room shares: one Hypothesis profile (a busy machine must not fail a test that is right), and failures that
are named as they happen, so that a run that is cut short has said them."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

# wall-clock deadlines and generation speed measure the machine's other work, not ours; the same examples each time, so that
# a change is to blame for what fails. `make test-all` explores others.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steelyard", settings.get_profile("explore"), derandomize=True)
settings.load_profile("steelyard")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed and report.when is not None and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\nfailed ({report.when}): {report.nodeid}", file=sys.stderr, flush=True)
