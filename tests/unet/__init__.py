"""Tests of the learned methods."""
