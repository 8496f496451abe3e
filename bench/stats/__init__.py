"""Benchmarks of the statistics against peers, in one run on the same data."""
