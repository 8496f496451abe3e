"""What every room shares: one Hypothesis profile (a busy machine must not fail a test that is right), and failures that
are named as they happen, so that a run that is cut short has said them."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

# wall-clock deadlines and generation speed measure the machine's other work, not ours
settings.register_profile("steelyard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steelyard")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed and report.when is not None and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\nfailed ({report.when}): {report.nodeid}", file=sys.stderr, flush=True)
