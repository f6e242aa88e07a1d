"""Units of work on a dask client: submission, markers, locks, progress; knows no cell."""
