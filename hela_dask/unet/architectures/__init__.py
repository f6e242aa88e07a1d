"""The architectures by name: ours, and those of the papers that this package follows."""

from __future__ import annotations

from hela_dask.errors import ParameterError
from hela_dask.unet.architectures.base import Architecture, Recipe
from hela_dask.unet.architectures.encoders import INCEPTION, RESNET18, VGG16
from hela_dask.unet.architectures.plain import HYBRID, UNET
from hela_dask.unet.architectures.residual import RESIDUAL

__all__ = ["ARCHITECTURES", "Architecture", "Recipe", "get_architecture"]

ARCHITECTURES: dict[str, Architecture] = {
    item.name: item for item in (RESIDUAL, UNET, VGG16, RESNET18, INCEPTION, HYBRID)
}
"""All of them; the first is the default."""


def get_architecture(name: str) -> Architecture:
    """The architecture of a name; ParameterError where there is none."""
    if name not in ARCHITECTURES:
        raise ParameterError(f"there is no model {name!r}; known: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
