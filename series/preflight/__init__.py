"""What is looked at before a run on real accounts: `python -m series.preflight`."""
