"""Numpy in, numpy out: one slice or one block. No dask, no files, no globals."""
