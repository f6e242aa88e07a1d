"""The steps from a volume to labelled cells, one module each."""
