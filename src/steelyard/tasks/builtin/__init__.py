"""The suites that ship: generated problems for the embedded models, as data files with pinned hashes.

Each is `<name>.yaml` (what the suite says of itself) and `<name>.jsonl` (its tasks, both splits); `suites`
makes them, byte for byte the same, from the version and its seed. Does not load them: that is the room's
loader, which treats them like any other suite.
"""

from steelyard.tasks.builtin.suites import builtin_names, builtin_path

__all__ = ["builtin_names", "builtin_path"]
