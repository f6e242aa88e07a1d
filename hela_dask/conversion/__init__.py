"""Files of other programs to OME-Zarr, and their descriptions."""
