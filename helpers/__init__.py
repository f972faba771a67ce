"""The verbs of the notebooks. They speak to both clouds through public interfaces only."""
