"""hela_dask."""
