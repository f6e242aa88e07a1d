"""Parameters: checked when made, written as TOML that says what each is, read back the same."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hela_dask.errors import MissingInputError, ParameterError
from hela_dask.parameters import DetectParameters, HybridParameters, LinkParameters, Parameters

STAGES = list(Parameters().groups())


def test_toml_gives_the_same_parameters_back(tmp_path: Path) -> None:
    changed = Parameters.from_dict({"detect": {"spacing": 750.5}, "link": {"distance": 1e5}})
    path = tmp_path / "run.toml"
    path.write_text(changed.to_toml(), encoding="utf-8")
    assert Parameters.from_toml(path) == changed
    assert Parameters.from_toml(path) != Parameters()


@settings(deadline=None)
@given(st.floats(min_value=1.0, allow_nan=False, allow_infinity=False))
def test_any_allowed_number_survives_toml(spacing: float) -> None:
    text = Parameters.from_dict({"detect": {"spacing": spacing}}).to_toml()
    assert Parameters.from_dict(tomllib.loads(text)).detect.spacing == spacing


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_any_text_survives_toml(folder: str) -> None:
    text = Parameters.from_dict({"hybrid": {"model": folder}}).to_toml()
    assert Parameters.from_dict(tomllib.loads(text)).hybrid.model == folder


def test_the_published_preset_overrides_the_other_parameters() -> None:
    ours = HybridParameters(distance=1000.0, model="here")
    assert ours.chosen() is ours
    published = HybridParameters(preset="published", distance=1000.0, model="here").chosen()
    pixel = 40.0
    assert published.distance == 110 * pixel
    assert published.model == "here"
    assert (published.growth, published.growth_large) == (3 * pixel, 4 * pixel)
    assert published.smallest_piece == pytest.approx(300 * pixel**2 * 1e-6)


def test_what_is_left_out_keeps_its_default() -> None:
    assert Parameters.from_dict({"link": {"distance": 10.0}}).detect == DetectParameters()
    assert Parameters.from_dict({}) == Parameters()
    of_numpy = Parameters.from_dict({"detect": {"spacing": np.float32(500)}})
    assert of_numpy == Parameters.from_dict({"detect": {"spacing": 500}})


def test_dictionaries_give_the_same_parameters_back() -> None:
    changed = Parameters.from_dict({"region": {"width": 9000.0}})
    assert Parameters.from_dict(changed.to_dict()) == changed


def test_every_parameter_is_explained() -> None:
    text = Parameters().to_toml()
    for stage in STAGES:
        assert f"[{stage}]" in text
        for item in dataclasses.fields(getattr(Parameters(), stage)):
            assert len(item.metadata["doc"]) > 8, f"{stage}.{item.name} has no explanation"
            assert f"{item.name} = " in text


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({1: {}}, "unknown parameter group 1"),
        ({"detect": {"9" * 5000: 1}}, f"unknown parameter in [detect]: '{'9' * 78}…; known: "),
        (["detect"], "parameters are a mapping of groups"),
        (5, "parameters are a mapping of groups"),
        ({"detekt": {}}, "unknown parameter group 'detekt'; did you mean 'detect'?"),
        ({"detect": {"spacin": 1.0}}, "did you mean 'spacing'?"),
        ({"detect": {"zzz": 1.0}}, "known: resolution"),
        ({"detect": 3}, "parameter group 'detect' must be a table, not 3"),
        ({"detect": {"spacing": "far"}}, "detect.spacing must be a number, not 'far'"),
        ({"detect": {"spacing": True}}, "detect.spacing must be a number, not True"),
        ({"detect": {"cells_per_slice": 2.5}}, "detect.cells_per_slice must be a whole number"),
        ({"detect": {"spacing": -1.0}}, "detect.spacing must be in [1.0, inf], not -1.0"),
        (
            {"hybrid": {"preset": "best"}},
            "hybrid.preset must be one of default, published, not 'best'",
        ),
        ({"hybrid": {"model": 3}}, "hybrid.model must be a text, not 3"),
        ({"link": {"distance": math.inf}}, "link.distance must be a finite number, not inf"),
        ({"link": {"distance": math.nan}}, "link.distance must be a finite number, not nan"),
    ],
)
def test_what_makes_no_sense_is_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Parameters.from_dict(values)
    assert sentence in str(caught.value)


def test_a_stage_checks_itself_when_made_directly() -> None:
    with pytest.raises(ParameterError, match=r"link\.distance"):
        LinkParameters(distance=-1)
    assert isinstance(LinkParameters(distance=3).distance, float)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    missing, broken, wrong = (tmp_path / name for name in ("no.toml", "broken.toml", "wrong.toml"))
    broken.write_text("[detect\n")
    wrong.write_text("[detect]\nspacin = 3\n")
    with pytest.raises(MissingInputError, match=r"no\.toml"):
        Parameters.from_toml(missing)
    with pytest.raises(ParameterError, match="is a folder, where a file is needed"):
        Parameters.from_toml(tmp_path)
    with pytest.raises(ParameterError, match=r"broken\.toml is not a TOML file"):
        Parameters.from_toml(broken)
    with pytest.raises(ParameterError, match=r"wrong\.toml: .*spacing"):
        Parameters.from_toml(wrong)
