"""Lazy operators on volumes: one definition of each, for notebooks and for runs."""
