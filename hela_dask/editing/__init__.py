"""Edits of a run's cells by people, and their review of these cells: files in the run folder."""
