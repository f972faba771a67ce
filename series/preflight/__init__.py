"""The checks before a run on real accounts: `python -m series.preflight`."""
