"""Tests of the review in napari; those of the widget need napari and a display."""
