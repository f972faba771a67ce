"""Runs, checks and prints the notebooks; no notebook imports it."""
