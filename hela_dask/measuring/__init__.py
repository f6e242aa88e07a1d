"""Measures of labelled objects of any origin: their shapes and their contacts."""
