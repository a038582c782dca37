"""Benchmarks against limits measured in the same run: `python -m tools.bench`."""
