"""Public data sets of HeLa cells: their registry, and their download."""
