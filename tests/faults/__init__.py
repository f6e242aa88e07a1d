"""Faults of runs: each is made on purpose, the same command is started again, all is compared."""
