"""The status of a run, for another shell or machine: it imports neither dask nor arrays."""
