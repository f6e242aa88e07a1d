"""Segmentation methods: one window in, the masks of its nucleus and cell out."""
