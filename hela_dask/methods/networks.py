"""The network of a method: found and checked before a run, loaded once a process."""

from __future__ import annotations

from collections.abc import Sequence

from hela_dask.errors import InputError
from hela_dask.methods.method import Network

__all__ = ["find_network"]


def find_network(method: str, folder: str, needed: Sequence[str] = ()) -> Network:
    """Where a network is, its card, and its fingerprint.

    Parameters
    ----------
    method : str
        The method that uses it, for the message.
    folder : str
        Of the model; empty: the one that comes with this package.
    needed : sequence of str
        Classes that it must predict.

    Raises
    ------
    MissingDependencyError
        When TensorFlow is not installed.
    MissingInputError, InputError
        When there is no such model, it is broken, or it does not predict what the method needs.
    """
    from hela_dask.unet.backend import check_installed
    from hela_dask.unet.model import find_model

    check_installed()
    found = find_model(folder)
    if missing := [item for item in needed if item not in found[1].classes]:
        raise InputError(
            f"the model in {found[0]} does not predict {missing[0]}: method {method} needs the "
            f"classes {', '.join(needed)}"
        )
    return found
