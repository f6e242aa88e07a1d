"""What a run will need before it starts: tasks, memory, disk and time; :mod:`hela_dask.plan`."""
