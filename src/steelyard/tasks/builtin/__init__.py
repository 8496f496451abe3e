"""The suites that ship: generated problems for the embedded models, as data files with pinned hashes.

Each is `<name>.yaml` (what the suite says of itself) and `<name>.jsonl` (its tasks, both splits); `suites`
makes them, byte for byte the same, from the version and its seed. Does not load them: `steelyard.tasks.load`
does, as any other suite (`builtin:NAME`).
"""
