"""How a run is carried out: checks, stages and their tasks, markers, progress, provenance."""
