"""The needs of a run before it starts: tasks, memory, disk and time; :mod:`hela_dask.plan`."""
