"""Handouts of the series, for reading without a lab and for workshops: `python -m series.handouts`."""
