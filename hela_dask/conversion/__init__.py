"""Files of other programs into OME-Zarr, and what they hold."""
