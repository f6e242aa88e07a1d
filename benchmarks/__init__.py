"""Measurements on real stacks and on phantoms: accuracy, robustness, times."""
