"""Quality without a truth: what is measured and said of a cell, and that it follows real errors."""

from __future__ import annotations

import math
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import spearmanr

import hela_dask as hd
from hela_dask.geometry import Geometry
from hela_dask.kernels.quality import FACES
from hela_dask.kernels.stack import interpolate_planes
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import get_method
from hela_dask.operators.classify import sampled_outputs, sampling
from hela_dask.parameters import Parameters, QualityParameters
from hela_dask.steps.confidence import (
    CONFIDENCE_FLAGS,
    EXPLANATIONS,
    LIMITS,
    NUMBERS,
    compute_confidence,
    measure_quality,
    slice_ranges,
)
from hela_dask.steps.segment import segment_window
from tests.damage import MASK_DAMAGES, Truth, damage_image, damage_mask, draw_phantom
from tests.drawn import iou
from tests.volumes import make_volume

P = QualityParameters()
VOXEL = (50.0, 40.0, 40.0)


def boxes(depth: int = 20) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """A nucleus in a cell in resin, straight along z, from the first slice to the last."""
    nucleus, cell = np.zeros((2, depth, 100, 100), bool)
    cell[:, 20:80, 20:80] = True
    nucleus[:, 35:65, 35:65] = True
    return nucleus, cell, ~cell


def test_a_cell_without_fault_has_full_confidence() -> None:
    found = measure_quality(*boxes(), VOXEL, P, ends=FACES)
    assert set(found) == {*NUMBERS, "instability", "reasons", "flags"}
    assert [found[name] for name in NUMBERS] == [0.0] * len(NUMBERS)
    assert found["instability"] == [0.0] * 20
    assert compute_confidence(found, P) == (1.0, [])


def test_a_cell_larger_than_its_window_says_so() -> None:
    found = measure_quality(*boxes(), VOXEL, P, ends=("first slice",))
    assert found["reasons"] == ["the cell continues beyond its window (last slice)"]
    assert found["flags"] == ["nucleus_cut", "larger_than_window"]
    assert found["beyond_window"] == pytest.approx(1.0)
    assert compute_confidence(found, P)[0] == pytest.approx(1 / (1 + (1 / P.window / 3) ** 2))


def test_what_the_volume_cuts_is_a_flag_without_a_reason_and_no_doubt() -> None:
    found = measure_quality(*boxes(), VOXEL, P, ends=("first slice", "last slice"))
    assert (found["reasons"], found["flags"]) == ([], ["nucleus_cut"])
    assert compute_confidence(found, P) == (1.0, [])


def test_a_nucleus_at_the_membrane_and_a_neighbour_without_resin_between() -> None:
    nucleus, cell, resin = boxes()
    nucleus[:, 35:65, 20:65] = True
    resin[:, :, 80:] = False
    found = measure_quality(nucleus, cell, resin, VOXEL, P, ends=FACES)
    assert found["contact"] == pytest.approx(54 / 240)  # but for 150 nm at its ends
    assert found["nucleus_exposed"] == pytest.approx(38 / 150, abs=0.03)
    assert compute_confidence(found, P)[1] == ["nucleus_at_membrane"]
    assert compute_confidence(found, QualityParameters(contact=0.2, exposed=0.5))[1] == [
        "little_resin"
    ]


def test_three_limits_reached_halve_the_confidence() -> None:
    nothing = dict.fromkeys(NUMBERS, 0.0)
    for name, (parameter, flag) in LIMITS.items():
        limit = getattr(P, parameter)
        assert compute_confidence({**nothing, name: limit}, P)[0] == pytest.approx(0.9)
        assert compute_confidence({**nothing, name: limit}, P)[1] == []
        assert compute_confidence({**nothing, name: 3 * limit}, P)[0] == pytest.approx(0.5)
        assert compute_confidence({**nothing, name: limit * 1.01}, P)[1] == ([flag] if flag else [])
    three = {name: getattr(P, LIMITS[name][0]) for name in NUMBERS[:3]}
    assert compute_confidence({**nothing, **three}, P)[0] == pytest.approx(0.5)
    assert set(EXPLANATIONS) > CONFIDENCE_FLAGS


def test_what_the_method_doubts_counts_like_a_number_at_its_limit() -> None:
    found = measure_quality(*boxes(), VOXEL, P, ends=FACES)
    assert compute_confidence(found, P, flags=["two_nuclei"])[0] == pytest.approx(0.9)
    assert compute_confidence(found, P, flags=["two_nuclei", ""])[0] == pytest.approx(0.9)
    # Where the volume ends is no doubt, and what is measured counts by its number alone.
    known = ["nucleus_cut", "larger_than_window", "no_nucleus", *CONFIDENCE_FLAGS]
    assert compute_confidence(found, P, flags=known)[0] == 1.0


def test_masks_that_are_missing_leave_their_numbers_out() -> None:
    nucleus, cell, resin = boxes()
    nothing = np.zeros_like(cell)
    found = measure_quality(nothing, cell, resin, VOXEL, P, ends=FACES)
    known = {name for name in NUMBERS if math.isfinite(found[name])}
    assert known == {"cell_jitter", "cell_jump", "contact", "beyond_window"}
    assert compute_confidence(found, P)[0] == pytest.approx(0.5)  # three numbers are of the nucleus
    found = measure_quality(nucleus, nothing, resin, VOXEL, P, ends=FACES)
    known = {name for name in NUMBERS if math.isfinite(found[name])}
    assert known == {"nucleus_jitter", "nucleus_jump"}
    found = measure_quality(nothing, nothing, resin, VOXEL, P)
    assert compute_confidence(found, P)[0] == 0
    assert compute_confidence(dict.fromkeys(NUMBERS), P)[0] == 0  # as it comes back from JSON
    assert math.isnan(compute_confidence({}, P)[0])


def test_doubtful_slices_in_words() -> None:
    doubt = [0.5, 0.3, 0.0, 0.2, 0.21, 0.0, 0.9]
    assert slice_ranges(doubt, 1, P) == "slices 1-2, 5, 7"
    assert slice_ranges(doubt, 11, QualityParameters(doubt=0.6)) == "slice 17"
    assert slice_ranges([], 1, P) == ""
    assert slice_ranges(doubt, 1, P, within=(2, 6)) == "slices 2, 5"


def ends(truth: Truth, window: tuple[slice, ...]) -> list[str]:
    """The sides of a window that are the volume's."""
    own = [
        at == end
        for part, n in zip(window, truth.cells.shape, strict=True)
        for at, end in ((part.start, 0), (part.stop, n))
    ]
    return [name for name, is_own in zip(FACES, own, strict=True) if is_own]


def test_confidence_falls_with_the_true_error_of_damaged_masks() -> None:
    truth = draw_phantom((72, 200, 200), 4, 4.0, (80.0, 60.0, 60.0))
    rows: list[dict[str, Any]] = []
    for label in (1, 2, 4):
        window = truth.window(label, 1500.0)
        nucleus, cell = (of[window] == label for of in (truth.nuclei, truth.cells))
        for how in MASK_DAMAGES:
            for seed, level in enumerate((0.0, 0.2, 0.4, 0.7, 1.0)):
                inner = damage_mask(nucleus, truth.voxel, how, level, seed)
                outer = damage_mask(cell, truth.voxel, how, level, seed + 10) | inner
                resin = truth.resin[window] & ~outer
                own = ends(truth, window)
                found = measure_quality(inner, outer, resin, truth.voxel, P, ends=own)
                right = (iou(inner, nucleus) + iou(outer, cell)) / 2
                rows.append(
                    {"how": how, "right": right, "confidence": compute_confidence(found, P)[0]}
                )
    table = pd.DataFrame(rows)
    assert table["right"].min() < 0.6
    assert table["confidence"][table["right"] > 0.999].min() > 0.7
    assert spearmanr(table["confidence"], table["right"]).statistic > 0.75
    for how in MASK_DAMAGES:
        part = table[table["how"] == how]
        assert spearmanr(part["confidence"], part["right"]).statistic > 0.6, how


def surroundings(truth: Truth, labels: list[int]) -> pd.DataFrame:
    """The cells table that detection would make, with a window about each."""
    rows = []
    for label in labels:
        nucleus = np.argwhere(truth.nuclei == label)
        nearest = nucleus[np.square(nucleus - nucleus.mean(axis=0)).sum(axis=1).argmin()]
        z, y, x = nearest * np.array(truth.voxel)
        held = np.flatnonzero((truth.cells == label).any(axis=(1, 2)))
        rows.append(
            {
                **{"label": label, "z": z, "y": y, "x": x, "height": 2000.0},
                **{"first_slice": held[0] + 1, "last_slice": held[-1] + 1},
                **{"status": "detected", "reason": ""},
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.slow
def test_confidence_falls_with_the_true_error_of_damaged_images() -> None:
    truth = draw_phantom((72, 240, 240), 10, 4.0, (80.0, 60.0, 60.0))
    params = Parameters.from_dict(
        {"region": {"width": 5400.0, "depth": 1000.0, "room": 1.0, "cap": 500.0}}
    )
    cells = surroundings(truth, list(range(1, 11)))
    asked = get_method(DEFAULT_METHOD).asks(params)
    assert asked is not None
    right, confidence = [], []
    for seed in (0, 2):  # as it is, then each cell damaged by another amount
        order = np.random.default_rng(seed).permutation(10)
        levels = {label: float(seed and order[label - 1] / 9) for label in cells["label"]}
        image = damage_image(truth, levels, seed)
        volume = make_volume(image, truth.voxel, chunks=(24, 240, 240))
        geometry, greys = Geometry.of(volume), hd.grey_levels(volume, params.background)
        with dask.config.set(scheduler="synchronous"):
            background = hd.background(volume).values
            # As in a run, the network predicts the volume once, and each window takes its part.
            sampled = sampled_outputs(volume, asked.model, greys, asked.names, asked.spacing)
            predicted = sampled.compute()
        views = sampling(geometry, asked.spacing).views
        for region in hd.cell_regions(cells, volume, params.region):
            window = region.window(geometry)
            found = segment_window(
                volume[window],
                region,
                DEFAULT_METHOD,
                parameters=params,
                background=background[window],
                grey_levels=greys,
                predicted={
                    name: interpolate_planes(predicted[..., at], views, window)
                    for at, name in enumerate(asked.names)
                },
            )
            pairs = (("nucleus", truth.nuclei), ("cell", truth.cells))
            scores = [iou(found[name].values, of[window] == region.label) for name, of in pairs]
            right.append(sum(scores) / 2)
            confidence.append(found.attrs["confidence"])
    assert len(right) == 20
    assert min(right) < 0.5
    assert max(right) > 0.7
    assert spearmanr(confidence, right).statistic > 0.6


def test_segmenting_a_cell_tells_its_quality(one_cell: xr.Dataset) -> None:
    attrs = one_cell.attrs
    assert {*NUMBERS, "confidence", "instability"} <= set(attrs)
    assert 0 < attrs["confidence"] < 1
    assert len(attrs["instability"]) == one_cell.sizes["z"]
    measured = measure_quality(
        one_cell["nucleus"].values,
        one_cell["cell"].values,
        one_cell["background"].values,
        attrs["voxel_size"],
        P,
        ends=FACES,
    )
    assert {name: attrs[name] for name in NUMBERS} == {name: measured[name] for name in NUMBERS}


@pytest.fixture(scope="module")
def one_cell() -> xr.Dataset:
    from tests.drawn import CENTRE, draw_cell

    drawing = draw_cell(slices=(16, 36))
    middle = (500.0, *CENTRE[1:])
    cells = pd.DataFrame(
        {
            **{"label": [3], "z": [middle[0]], "y": [middle[1]], "x": [middle[2]]},
            **{"height": [2000.0], "first_slice": [1], "last_slice": [20]},
            **{"status": ["detected"], "reason": [""]},
        }
    )
    volume = make_volume(drawing.image, drawing.voxel)
    (region,) = hd.cell_regions(cells, volume)
    assert region.ends == FACES
    background = volume.copy(data=drawing.background)
    return hd.segment_cell(volume, region, background=background)
