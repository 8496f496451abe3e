"""Load suites from files, render their messages, shuffle their choices; keep held-out content hidden.

Does not run contestants, and imports none. Scorers, engines and doors may import it.
"""

from __future__ import annotations

from steelyard.tasks.base import Examples, Rendered
from steelyard.tasks.load import builtin_names, load
from steelyard.tasks.options import LoadOptions
from steelyard.tasks.render import check_prompt, has_canary, render, with_images
from steelyard.tasks.suite import Suite, redact, visible

__all__ = [
    "Examples",
    "LoadOptions",
    "Rendered",
    "Suite",
    "builtin_names",
    "check_prompt",
    "has_canary",
    "load",
    "redact",
    "render",
    "visible",
    "with_images",
]
