"""Readers of the files of microscopes and other programs (see :mod:`hela_dask.conversion.sources`)."""
