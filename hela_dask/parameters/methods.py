"""The parameters of the methods: nucleus and cell of one region; lengths in nm, areas in µm²."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

from hela_dask.parameters.fields import ParameterGroup, parameter, text_parameter

__all__ = [
    "HybridParameters",
    "MethodParameters",
    "PropagateParameters",
    "UnetParameters",
    "VolumetricParameters",
]


@dataclass(frozen=True)
class MethodParameters(ParameterGroup):
    """Parameters of methods that detect membranes: membranes, seed of the nucleus, cell."""

    line_sigma: float = parameter(
        50.0, "Gaussian sigma of the Hessian for membranes in the plane (lines), nm", low=1.0
    )
    sheet_sigma: float = parameter(
        60.0,
        "Gaussian sigma of the Hessian for membranes across slices (sheets), nm; 0: lines only",
    )
    slow: float = parameter(
        750.0,
        "Gaussian sigma along z of the changes of brightness that are kept; faster changes "
        "are removed, nm",
        low=1.0,
    )
    search: float = parameter(5000.0, "maximum distance from the cell's centre to its nucleus, nm")
    spot: float = parameter(
        1500.0,
        "radius of the seed inside the nucleus, where the membrane strength is calibrated, nm",
    )
    membrane: float = parameter(
        3.7,
        "threshold of membrane strength, in deviations (MAD) above the median inside the nucleus",
    )
    smallest_nucleus: float = parameter(3.0, "minimum area of a nucleus in its largest slice, µm²")
    envelope: float = parameter(50.0, "distance from the middle of the envelope to the nucleus, nm")
    envelope_width: float = parameter(80.0, "thickness of the nuclear envelope in the plane, nm")
    saddle: float = parameter(
        300.0,
        "minimum depth of a saddle of the distance to the resin that separates two basins, nm",
        low=1.0,
    )
    grid: float = parameter(
        80.0, "spacing of the grid on which touching basins are separated, nm", low=1.0
    )
    nucleus_share: float = parameter(
        0.05, "minimum share of the nucleus in a basin that belongs to the cell", high=1.0
    )
    cover: float = parameter(
        0.5,
        "minimum share of a basin that the cell of the slice before covers, for a basin of "
        "the cell",
        high=1.0,
    )
    neck: float = parameter(
        80.0, "radius of the erosion that cuts parts behind thin necks off the cell, nm"
    )
    smoothing: float = parameter(150.0, "extent in z of the majority filter of the masks, nm")


@dataclass(frozen=True)
class PropagateParameters(MethodParameters):
    """Nucleus and cell, propagated slice by slice from the centre, as in J. Imaging 2021.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.PropagateParameters(clearance=100.0).clearance
    100.0
    """

    clearance: float = parameter(100.0, "minimum distance of superpixels from membranes, nm")
    reach: float = parameter(
        400.0, "maximum distance of the nucleus beyond that of the slices before, nm"
    )
    overlap: float = parameter(
        0.01, "minimum area of a superpixel over the nucleus of the slices before, µm²"
    )
    share: float = parameter(
        0.7, "minimum share of a superpixel over the nucleus of the slices before", high=1.0
    )
    memory: float = parameter(
        150.0, "extent in z of the slices before with which a superpixel is compared, nm"
    )
    gap: float = parameter(
        150.0, "maximum extent in z in which a nucleus may be lost and found again, nm"
    )
    inside: float = parameter(
        100.0, "maximum distance from the core inwards to the middle of the envelope, nm"
    )
    outside: float = parameter(
        120.0, "maximum distance from the core outwards to the middle of the envelope, nm"
    )


@dataclass(frozen=True)
class VolumetricParameters(MethodParameters):
    """Nucleus between membranes in 3-D, cell by a watershed of the distance to resin.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.VolumetricParameters(hole=3.0).hole
    3.0
    """

    widest: float = parameter(
        300.0,
        "maximum radius of the ball that must fit in the core of the nucleus, nm; tried first",
        low=1.0,
    )
    narrowest: float = parameter(
        70.0,
        "minimum radius of the ball that must fit in the core of the nucleus, nm; about the "
        "width of a membrane",
        low=1.0,
    )
    surroundings: float = parameter(
        200.0, "Gaussian sigma of the share of membranes in the tissue, nm", low=1.0
    )
    density: float = parameter(
        0.12,
        "maximum share of membranes (scale surroundings) in tissue that a smaller clearance adds "
        "far from the core; more is a leak",
        high=1.0,
    )
    hole: float = parameter(
        2.0,
        "minimum membrane strength along the rim of a hole that stays open, as a multiple of "
        "the threshold membrane",
    )
    inside: float = parameter(
        120.0, "maximum distance from the core inwards to the middle of the envelope, nm"
    )
    outside: float = parameter(
        150.0, "maximum distance from the core outwards to the middle of the envelope, nm"
    )


@dataclass(frozen=True)
class UnetParameters(ParameterGroup):
    """Nuclei by a network and by membranes together, cell by a watershed of the distance.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.UnetParameters(search=5000.0).search
    5000.0
    """

    model: str = text_parameter("", "folder of the network; empty: the network of hela_dask")
    search: float = parameter(5000.0, "maximum distance from the cell's centre to its nucleus, nm")
    smallest_nucleus: float = parameter(2.0, "minimum volume of a nucleus, µm³")
    smallest_hole: float = parameter(
        0.1, "minimum area of a hole of the nucleus in a slice; smaller holes are filled, µm²"
    )
    membranes: float = parameter(
        1.0, "weight of the nucleus enclosed by membranes; 0: only where the network has none"
    )
    spacing: float = parameter(
        50.0,
        "maximum distance of the slices that the network predicts, every other one turned; "
        "both views are interpolated, nm",
        low=1.0,
    )
    margin: float = parameter(
        750.0, "distance around the network's nucleus in which membranes are detected, nm"
    )
    grid: float = parameter(100.0, "spacing of the grid on which nuclei are separated, nm", low=1.0)
    neck: float = parameter(60.0, "radius of the erosion that separates nuclei, nm")
    envelope: float = parameter(40.0, "distance from the nucleus to the middle of its envelope, nm")
    envelope_width: float = parameter(80.0, "thickness of the nuclear envelope in the plane, nm")
    line_sigma: float = parameter(
        50.0,
        "Gaussian sigma of the line of the envelope, for the refinement on smaller pixels, nm",
        low=1.0,
    )


@dataclass(frozen=True)
class HybridParameters(ParameterGroup):
    """Cell by the binary U-Net of Hosangadi et al., nucleus by edges of the texture.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.HybridParameters(blur=20.0).blur
    20.0
    """

    model: str = text_parameter(
        "", "folder of a network, written by hela-dask train --model hybrid"
    )
    preset: str = text_parameter(
        "default",
        "default, or published: grey values from 94 to 130, and the paper's values of all "
        "parameters from blur to growth_large",
        choices=("default", "published"),
    )
    blur: float = parameter(20.0, "sigma of the Gaussian low-pass before Otsu's threshold, nm")
    smallest_tissue: float = parameter(
        0.3, "minimum area of a dark piece in the input of the network, µm²"
    )
    smoothing: float = parameter(
        8.0, "sigma of the Gaussian low-pass before the texture is measured, nm"
    )
    texture: float = parameter(
        120.0,
        "width of the square in which the standard deviation of grey values is measured, nm",
        low=1.0,
    )
    edge: float = parameter(40.0, "Gaussian sigma of the Canny edges of the texture, nm", low=1.0)
    strong: float = parameter(
        0.77,
        "upper threshold of the Canny hysteresis, as a quantile of the gradient in the cell",
        high=1.0,
    )
    weak: float = parameter(
        0.4, "lower threshold of the Canny hysteresis, as a fraction of the upper one", high=1.0
    )
    gap: float = parameter(80.0, "radius of the diamond that dilates the edges, nm")
    smallest_piece: float = parameter(0.48, "minimum area of a piece between edges, µm²")
    smallest: float = parameter(0.64, "minimum area of a candidate for the nucleus in a slice, µm²")
    largest: float = parameter(64.0, "maximum area of a candidate for the nucleus in a slice, µm²")
    distance: float = parameter(
        2400.0, "maximum distance between the centroids of candidate and cell, nm"
    )
    outside: float = parameter(0.24, "maximum area of a candidate outside the cell, µm²")
    circularity: float = parameter(
        0.1, "minimum circularity of a candidate, 4 pi area / perimeter²", high=1.0
    )
    smallest_nucleus: float = parameter(0.8, "minimum area of a nucleus in a slice, µm²")
    darkest: float = parameter(
        0.1, "lower limit of the nucleus' grey values, as a quantile of those of the cell", high=1.0
    )
    brightest: float = parameter(
        0.98,
        "upper limit of the nucleus' grey values, as a quantile of those of the cell",
        high=1.0,
    )
    likeness: float = parameter(
        0.8,
        "minimum ratio of the areas of a candidate and the component that replaces it",
        high=1.0,
    )
    shift: float = parameter(
        400.0,
        "maximum distance between the centroids of a candidate and the component that "
        "replaces it, nm",
    )
    large: float = parameter(32.0, "minimum area of a nucleus that is dilated by growth_large, µm²")
    growth: float = parameter(120.0, "dilation of a nucleus towards its envelope, nm")
    growth_large: float = parameter(120.0, "dilation of a large nucleus towards its envelope, nm")
    envelope: float = parameter(50.0, "distance from the nucleus to the middle of its envelope, nm")
    envelope_width: float = parameter(80.0, "thickness of the nuclear envelope in the plane, nm")
    line_sigma: float = parameter(
        50.0,
        "Gaussian sigma of the line of the envelope, for the refinement on smaller pixels, nm",
        low=1.0,
    )

    @property
    def published(self) -> bool:
        """Whether grey values and slopes are those of the paper, instead of the cell's own."""
        return self.preset == "published"

    def chosen(self) -> Self:
        """These parameters, or the paper's with its preset; its pixels were 40 nm.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.HybridParameters(preset="published").chosen().texture
        120.0
        """
        if not self.published:
            return self
        return dataclasses.replace(
            self,
            blur=20.0,
            smallest_tissue=0.3,
            smoothing=8.0,
            texture=120.0,
            edge=40.0,
            strong=0.7,
            weak=0.4,
            gap=80.0,
            smallest_piece=0.48,
            smallest=0.64,
            largest=64.0,
            distance=4400.0,
            outside=0.24,
            circularity=0.1,
            smallest_nucleus=0.8,
            darkest=0.0,
            brightest=1.0,
            likeness=0.5,
            shift=800.0,
            large=32.0,
            growth=120.0,
            growth_large=160.0,
        )
