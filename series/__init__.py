"""What runs, reads and prints the notebooks; no notebook imports it."""
