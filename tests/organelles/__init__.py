"""Tests of the organelles of cells."""
