"""What kind of truth some labels are, by what they hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from hela_dask.running.scoring import CLASSES, find_truth

SHAPE = (12, 20, 30)


def write(path: Path, *values: int, rest: int) -> Path:
    """A block of each value, in the rest."""
    labels = np.full(SHAPE, rest, np.uint8)
    for number, value in enumerate(values):
        labels[:, 2:8, 5 * number : 5 * number + 4] = value
    tifffile.imwrite(path, labels)
    return path


def test_a_map_that_names_every_voxel_is_one_of_classes(tmp_path: Path) -> None:
    one = find_truth(write(tmp_path / "one.tif", 1, 2, 3, 5, rest=4), SHAPE)
    assert one.kind == "classes" and set(one.classes) == set(CLASSES)
    every = find_truth(write(tmp_path / "every.tif", 1, 2, 3, rest=4), SHAPE)
    assert every.kind == "classes" and set(every.classes) == {"nucleus", "background"}


def test_a_class_that_the_map_lacks_is_not_scored(tmp_path: Path) -> None:
    bare = find_truth(write(tmp_path / "bare.tif", 2, 3, 5, rest=4), SHAPE)
    assert set(bare.classes) == {"nucleus", "cell", "cytoplasm", "background"}


@pytest.mark.parametrize("values", [(1, 2, 3, 4, 5), (2, 4), (2, 4, 7), (1,)])
def test_cells_are_instances_however_few_they_are(tmp_path: Path, values: tuple[int, ...]) -> None:
    truth = find_truth(write(tmp_path / "cells.tif", *values, rest=0), SHAPE)
    assert truth.kind == "instances" and set(truth.paths) == {"cell"}
    assert truth.slices == (1, 12)


def test_real_maps_are_known_by_their_classes(real_data: Path) -> None:
    folder, shape = real_data / "roi1656", (300, 500, 500)
    one = find_truth(folder / "labels_z001-180.tif", shape)
    assert (one.kind, one.slices) == ("classes", (1, 180)) and one.classes == CLASSES
    every = find_truth(folder / "labels_all_nuclei_z001-180.tif", shape)
    assert every.kind == "classes" and set(every.classes) == {"nucleus", "background"}
