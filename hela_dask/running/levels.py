"""A volume's grey levels, found once and remembered beside what depends on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields

from hela_dask.greys import GreyLevels
from hela_dask.running.markers import Markers, fingerprint

__all__ = ["remembered_levels"]


def remembered_levels(markers: Markers, of: str, find: Callable[[], GreyLevels]) -> GreyLevels:
    """The levels that are kept, or what `find` gives, kept from now on.

    Parameters
    ----------
    markers : Markers
        Of the run.
    of : str
        Fingerprint of all that they depend on; what levels there are counts too.
    find : callable
        Called where none are kept.
    """
    names = [item.name for item in fields(GreyLevels)]
    wanted = fingerprint(of, names)
    kept = markers.result("levels", "volume", wanted)
    if kept is None:
        kept = markers.finish("levels", "volume", wanted, asdict(find()))
    return GreyLevels(*(kept[name] for name in names))
