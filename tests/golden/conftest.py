"""Published data, beside the project's repository; a test that needs it skips where it is absent."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("published evaluation data is not here: expected ../shared/data beside the repository")
    return folder
