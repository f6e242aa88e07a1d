"""The registry of the package: complete, and without a checksum of another form."""

from __future__ import annotations

from pathlib import Path

import pytest

from hela_dask.datasets.registry import DataSet, SetFile, read_registry
from hela_dask.errors import InputError


@pytest.mark.parametrize("name", sorted(read_registry()))
def test_a_set_has_all_that_its_listing_needs(name: str) -> None:
    data = read_registry()[name]
    row = data.row()
    assert all(row.values())
    assert data.page.startswith("https://")
    assert all(file.url.startswith("https://") for file in data.files)
    assert len({file.name for file in data.files}) == len(data.files)
    if data.convert is not None:
        assert data.voxel_size is not None
        assert any(
            file.name.startswith(f"{data.convert}/") or Path(file.name).match(data.convert)
            for file in data.files
        )
    if any(file.checksum is None for file in data.files):
        assert row["verified by"].startswith("size only")


def test_the_sets_that_people_look_for_are_there() -> None:
    assert {"slices", "roi1656", "rois", "hela8192", "cil50051", "cil50061"} <= set(read_registry())


@pytest.mark.parametrize("name", ["../x.tif", "/x.tif", "a/../x", "C:x", ".x", "a//b", "a\\b", ""])
def test_a_name_does_not_lead_out_of_the_folder(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        SetFile(name=name, url="https://example.org/x")


def test_a_registry_with_a_false_checksum_is_refused(tmp_path: Path) -> None:
    text = "sets: {a: {title: a, page: p, licence: l, citation: c, good_for: g, files: "
    text += "[{name: x, url: 'https://example.org/x', sha256: abc}]}}"
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(InputError, match="sha256"):
        read_registry(tmp_path / "r.yaml")


def test_the_size_is_the_sum_where_all_are_known() -> None:
    files = [SetFile(name=name, url="https://x.org/x", bytes=5) for name in "ab"]
    one = DataSet(title="t", page="p", licence="l", citation="c", good_for="g", files=files)
    assert (one.size, one.verified_by) == (10, "size only")
    more = [*files, SetFile(name="c", url="https://x.org/x", sha256="0" * 64)]
    two = one.model_copy(update={"files": more, "about": 99})
    assert (two.size, two.verified_by) == (99, "size only (1 of 3 sha256)")
