"""Tests of hela_dask.watching."""
