"""Readers of the files of microscopes and other programs, one module for each kind."""
