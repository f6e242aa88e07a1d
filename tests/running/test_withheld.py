"""Nuclei that the confidence calls wrong: left out of the labels, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hela_dask as hd
from hela_dask.parameters import QualityParameters
from hela_dask.steps import segment
from hela_dask.steps.confidence import LIMITS, NUCLEUS_NUMBERS, NUMBERS, nucleus_withheld

P = QualityParameters()


def row(**numbers: Any) -> dict[str, Any]:
    """Numbers of a cell, each at so many of its limits."""
    found = {name: numbers.pop(name, 0.0) * getattr(P, LIMITS[name][0]) for name in NUMBERS}
    return {"status": "segmented", "flags": "", **found, **numbers}


BAD = {"nucleus_exposed": 3.0, "beyond_window": 6.0}


@pytest.mark.parametrize(
    ("numbers", "parameters", "withheld"),
    [
        (BAD, P, True),
        ({"nucleus_jitter": 0.6, "nucleus_jump": 0.5, "cell_jitter": 7.0}, P, True),
        ({"beyond_window": 9.0, "cell_jump": 2.0}, P, False),  # the doubt is the cell's alone
        ({"nucleus_jitter": 0.5, "beyond_window": 9.0}, P, False),
        ({"nucleus_exposed": 3.0}, P, False),  # confidence 0.5
        (BAD, QualityParameters(withhold=0.0), False),
        (BAD, QualityParameters(withhold=0.09), False),
        (
            {"nucleus_exposed": 2.5, "beyond_window": 4.7},
            P,
            False,
        ),  # confidence 0.148, as of a right one,
        (BAD | {"status": "no_resin"}, P, False),  # the nucleus is all there is
        (BAD | {"flags": "no_nucleus"}, P, False),
        (dict.fromkeys(NUCLEUS_NUMBERS, np.nan) | {"beyond_window": 9.0}, P, False),
    ],
)
def test_a_nucleus_is_withheld_for_doubts_of_its_own(
    numbers: dict[str, Any], parameters: QualityParameters, withheld: bool
) -> None:
    assert nucleus_withheld(row(**numbers), parameters) is withheld


def doubt(monkeypatch: pytest.MonkeyPatch, label: int) -> None:
    """From now on every cell has its numbers, and those of one are bad."""
    quick = segment.segment_window

    def doubted(volume: Any, region: Any, *more: Any, **named: Any) -> Any:
        found = quick(volume, region, *more, **named)
        numbers = row(**BAD) if region.label == label else row()
        return found.assign_attrs({name: numbers[name] for name in NUMBERS})

    monkeypatch.setattr(segment, "segment_window", doubted)


def test_a_run_withholds_it_and_delivers_it_for_a_parameter(
    scene: Path, here: Any, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    doubt(monkeypatch, 2)

    def go(withhold: float) -> hd.RunResult:
        params = {"quality": {"withhold": withhold}}
        return hd.run(scene, client=here, progress=False, parameters=params, overwrite=True)

    every = go(0.0)
    before = {name: labels.values for name, labels in every.labels.items()}
    assert (every.cells["flags"].str.contains("withheld")).sum() == 0
    calls["segment"].clear()
    result = go(0.125)
    assert calls["segment"] == []
    for name, labels in result.labels.items():
        gone = name in ("nuclei", "envelope")
        expected = np.where(before[name] == 2, 0, before[name]) if gone else before[name]
        np.testing.assert_array_equal(labels.values, expected, err_msg=name)
    cell, others = result.cells.set_index("label").loc[2], every.cells.set_index("label")
    assert cell["flags"].split(",")[0] == "nucleus_withheld"
    assert (
        cell["reason"]
        == "the nucleus is withheld: confidence 0.10, under 0.125 ([quality] withhold)"
    )
    assert cell["status"] == others.loc[2, "status"]
    assert np.isnan(cell["nucleus_volume"]) and cell["cell_volume"] == others.loc[2, "cell_volume"]
    assert result.summary().endswith("; nucleus withheld in 1 outlined cell")
    again = go(0.0)
    np.testing.assert_array_equal(again.labels["nuclei"].values, before["nuclei"])
    assert again.cells.equals(every.cells) and calls["segment"] == []
