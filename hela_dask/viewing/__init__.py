"""The results of a run in interactive viewers."""
