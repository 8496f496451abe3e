"""The ledger: bytes and time a sample, memory, leaderboard queries."""
