"""Execution of a run: checks, stages and their tasks, markers, progress, provenance."""
