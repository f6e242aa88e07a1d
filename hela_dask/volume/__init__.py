"""An OME-Zarr level as an xarray.DataArray in nm, and the grey levels of a volume."""
