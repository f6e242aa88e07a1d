"""Segment cells and nuclei of volume-EM stacks larger than memory.

Importing the package loads none of dask, xarray, zarr or scikit-image. The first use of a public
name imports the module that defines it; the stub ``__init__.pyi`` lists them all (SPEC 1).

Examples
--------
>>> import hela_dask as hd
>>> volume = hd.open_volume("hela.ome.zarr", resolution=40)  # doctest: +SKIP
>>> result = hd.run("hela.ome.zarr")  # doctest: +SKIP
"""

import lazy_loader

from hela_dask.version import __version__ as __version__

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __dir__() -> list[str]:
    return sorted(__all__)
