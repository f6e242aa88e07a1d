"""The table of cells inside the OME-Zarr, as a feature table of ngio.

Specification: https://biovisioncenter.github.io/ngio/stable/table_specs/overview/, version 1.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.errors import ExistsError, HelaDaskError, InputError
from hela_dask.running.identity import read_id
from hela_dask.running.result import RunResult
from hela_dask.running.tables import segmented_cells
from hela_dask.storage.consolidated import refresh_consolidated
from hela_dask.storage.files import replaced, write_json
from hela_dask.storage.metadata import Image, read_image
from hela_dask.storage.nodes import is_node, read_node
from hela_dask.version import __version__

__all__ = ["write_feature_table"]

_TABLE, _LABELS, _FILE = "cells", "cells", "table.parquet"
_NODE = "zarr.json"


def write_feature_table(result: RunResult) -> list[Path]:
    """Write ``tables/cells`` into the image of the labels; returns its files.

    The group states the label image and the column of labels, which are the index. A table of the
    name that this package did not write is left alone.

    Raises
    ------
    InputError
        When the labels lie outside of an image, where ngio does not look.
    ExistsError
        When another program has a table of the name.
    """
    image = _owner(result)
    tables = image.folder / "tables"
    group = tables / _TABLE
    known = _check(tables, group)
    cells = segmented_cells(result.cells).set_index("label")
    with replaced(group / _FILE) as temporary:
        _text_columns(cells).to_parquet(temporary)
    attributes = {
        "type": "feature_table",
        "table_version": "1",
        "backend": "parquet",
        "index_key": "label",
        "index_type": "int",
        "instance_key": "label",
        "region": {"path": f"../labels/{_LABELS}"},
        "hela_dask": {"created_by": f"hela_dask {__version__}", "run_id": read_id(result.path)},
    }
    _write_group(group, attributes)
    names = list(dict.fromkeys([*known.get("tables", []), _TABLE]))
    _write_group(tables, {**known, "tables": names})
    refresh_consolidated(image.folder)
    return [group / _FILE, group / _NODE, tables / _NODE]


def _owner(result: RunResult) -> Image:
    """The image that holds the labels."""
    owner = result.label_paths[_LABELS].absolute().parent.parent
    try:
        return read_image(owner)
    except HelaDaskError as error:
        raise InputError(
            f"the labels of {result.path} lie in {owner}, which is not an image: ngio finds tables "
            "only in the image of the labels"
        ) from error


def _check(tables: Path, group: Path) -> dict[str, Any]:
    """The attributes of the group of all tables, once nothing of another program is replaced."""
    for place in (tables, group):
        if os.path.lexists(place) and not (place.is_dir() and is_node(place)):
            raise ExistsError(f"{place} is not a Zarr group: move it, and export again")
    if group.is_dir() and "hela_dask" not in _attributes(group):
        raise ExistsError(
            f"{group} was made by another program, so it is not replaced: rename it there, and "
            "export again"
        )
    return _attributes(tables) if tables.is_dir() else {}


def _attributes(group: Path) -> dict[str, Any]:
    node = read_node(group)
    return {} if node is None else dict(node.attributes)


def _write_group(path: Path, attributes: dict[str, Any]) -> None:
    write_json(path / _NODE, {"zarr_format": 3, "node_type": "group", "attributes": attributes})


def _text_columns(cells: pd.DataFrame) -> pd.DataFrame:
    """With texts as plain strings, as every reader of Parquet has them."""
    texts = [name for name in cells if pd.api.types.is_string_dtype(cells[name].dtype)]
    return cells.astype(dict.fromkeys(texts, object))
