"""Tests on a real SLURM of one node, which the tests start."""
