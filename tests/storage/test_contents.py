"""Stores and labels that hold something of a user, or of other programs, are not replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
import zarr

from hela_dask.errors import ExistsError
from hela_dask.storage import store
from tests.storage.test_store import SIZE, make_image, make_labels


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "0/extra", "0/c/0/0/mine.tif", "1/c/5/thesis", "labels/notes.txt",
     "labels/nuclei/by_hand.csv", "labels/cellpose/0/c/0/0/0"],
)  # fmt: skip
def test_what_we_did_not_write_is_not_removed_with_what_we_wrote(tmp_path: Path, name: str) -> None:
    path = make_image(tmp_path / "a.ome.zarr").folder
    make_labels(path, tmp_path / "a.run")
    mine = path / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("years")
    if "cellpose" in name:
        zarr.create_group(path / "labels" / "cellpose", zarr_format=3, attributes={"ome": {}})
    named = "labels/cellpose" if "cellpose" in name else name
    with pytest.raises(ExistsError, match=f"holds {named}, which hela_dask did not write"):
        store.create_image(path, (2, 4, 4), "uint8", SIZE, name="a", overwrite=True)
    if name.startswith("labels/nuclei"):
        with pytest.raises(ExistsError, match=r"by_hand\.csv was made by something else"):
            store.create_labels(path, "nuclei", (20, 300, 521), "uint32", SIZE, overwrite=True)
    assert mine.read_text() == "years"


def test_labels_that_are_replaced_with_their_image_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", logger="hela_dask")
    path = make_image(tmp_path / "a.ome.zarr").folder
    make_labels(path, tmp_path / "a.run")
    for litter in (".DS_Store", "._0", "labels/.lock"):
        (path / litter).touch()
    store.create_image(path, (2, 4, 4), "uint8", SIZE, name="a", overwrite=True)
    assert caplog.messages == [f"{path} is replaced, and its labels with it: nuclei"]
    assert not (path / "labels").exists()
