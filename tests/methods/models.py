"""Parameters for a method whose network is small and made for the occasion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hela_dask.methods.registry import has_network
from hela_dask.unet.card import Card
from tests.unet.networks import VOXEL, by_grey, stored

__all__ = ["model_for"]


def model_for(method: str, folder: Path) -> dict[str, Any]:
    """``{"model": folder}`` for a method with a network, written there; else nothing."""
    if not has_network(method):
        return {}
    if method == "hybrid":
        card = Card("hybrid", ("cell",), VOXEL, channels="binary", plane=(192, 192))
        stored(folder, card, np.array([[40.0]]), np.array([-20.0]))
    else:
        by_grey(folder)
    return {"model": str(folder)}
