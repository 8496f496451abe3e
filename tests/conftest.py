"""One Hypothesis profile for every room: a busy machine must not fail a test that is right."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# wall-clock deadlines and generation speed measure the machine's other work, not ours
settings.register_profile("steelyard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steelyard")
