"""What docs/storage.md says of the layout is what the package does."""

from __future__ import annotations

import pytest

from benchmarks import storage
from hela_dask.formatting import by_axis
from hela_dask.storage.pyramid import layout, plan_levels
from hela_dask.storage.shards import compressor


def test_the_page_names_the_layout_the_codec_and_the_number_of_files() -> None:
    text = " ".join(storage.PAGE.read_text("utf-8").split())
    chunk, shard = layout(storage.FULL, 1)
    count = storage.files(plan_levels(storage.FULL, 1, storage.VOXEL))
    assert count < 2000
    assert f"is then {count:,} files" in text
    assert f"{by_axis(chunk)} voxels" in text
    assert f"| {by_axis(shard)}; 16 deep" in text
    assert (f"zstd, level {compressor().level}" in text) and compressor().checksum


def test_every_table_has_its_place_on_the_page() -> None:
    page = storage.PAGE.read_text("utf-8")
    for name in ("layouts", "codecs", "labels", "convert"):
        assert storage.put(storage.put(page, name, "new"), name, "old").count("old\n<!-- end") == 1
    with pytest.raises(SystemExit, match="no place for pictures"):
        storage.put(page, "pictures", "new")
