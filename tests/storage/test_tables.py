"""Tables that people give: read right in every dialect, or refused by the row; never shifted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hela_dask.errors import InputError, MissingInputError
from hela_dask.storage.files import write_table
from hela_dask.storage.tables import read_table

PLACE = ["z", "y", "x"]
RIGHT = [[3000.5, 5000.0, 5100.25], [1234.0, 1.5, 2.0]]


def places(source: Any) -> Any:
    """The three columns of a table of lengths, row by row."""
    found = read_table(source, "the table").numbers(PLACE, lengths=True)
    return np.transpose([found[name] for name in PLACE]).tolist()


@pytest.mark.parametrize(
    "text",
    [
        "z,y,x\n3000.5,5000,5100.25\n1234,1.5,2\n",
        "Z, Y ,X\r\n3000.5, 5000,\t5100.25\r\n1234,1.5,2",
        "\n\nz,y,x\n\n3000.5,5000,5100.25\n,,\n1234,1.5,2\n\n,,,,\n",
        'label,"z","y","x"\n1,"3000.5","5000","5100.25"\n2,"1234","1.5","2"\n',
        "z,y,x,,\n3000.5,5000,5100.25,,\n1234,1.5,2,,\n",  # empty columns of a spreadsheet
        "z,y,x\n3000.5,5000,5100.25,,\n1234,1.5,2,\n",
        "z,,y,x\n3000.5,,5000,5100.25\n1234,,1.5,2\n",
        "z,y,x,note\n3000.5,5000,5100.25\n1234,1.5,2,good\n",  # rows that end early
        'note,z,y,x\n"two, three",3000.5,5000,5100.25\n"a ""b""\nc",1234,1.5,2\n',
        "z;y;x\n3000,5;5000;5100,25\n1234;1,5;2\n",
        "z;y;x\n3.000,5;5.000;5.100,25\n1.234;1,5;2\n",
        "z;y;x\n3000.5;5000;5100.25\n1234;1.5;2\n",
        "z\ty\tx\n3000.5\t5000\t5100.25\n1234\t1.5\t2\n",
        "z\ty\tx\n3000,5\t5000\t5100,25\n1234\t1,5\t2\n",
        "z|y|x\n3000.5|5000|5100.25\n1234|1.5|2\n",
        "z y x\n3000.5 5000   5100.25\n 1234 1.5 2\n",
        "sep=;\nz;y;x\n3000,5;5000;5100,25\n1234;1,5;2\n",
        "sep=\t\r\nz\ty\tx\r\n3000.5\t5000\t5100.25\r\n1234\t1.5\t2\r\n",
        '"sep=,"\nz,y,x\n"3000,5",5000,"5100,25"\n1234,"1,5",2\n',
        'z,y,x\n"3,000.5","5,000","5,100.25"\n"1,234",1.5,2\n',
        "z;y;x\n3 000,5;5'000;5\u202f100,25\n1\u00a0234;1,5;2\n",
        "z;y;x\n+3.0005e3;5E3;5100.25\n1234.;1.5;002\n",
        "x (nm),y_nm,Z [nm]\n5100.25,5000,3000.5\n2,1.5,1234\n",
        "z (µm),y_um,x/micron\n3.0005,5,5.10025\n1.234,0.0015,0.002\n",
        "z,z (px),y,x\n3000.5,60,5000,5100.25\n1234,24,1.5,2\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_a_dialect_of_a_spreadsheet_is_read_right(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(encoding, errors="replace").replace(b"?", b" "))
    assert places(path) == [pytest.approx(row) for row in RIGHT]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("z,y,x\n3000,5000,5100,1\n", "row 1: 4 fields under 3 names"),
        ("label,z,y,x\n1,3000,5,5000,25,5000,1\n", "row 1: 7 fields under 4 names: write decimal"),
        ("z;y;x\n1;2;3\n1;2;3;4\n", "row 2: 4 fields under 3 names"),
        ("z,y,x,\n1,2,3,seen\n", "row 1: 4 fields under 3 names"),
        ("z,y,x\n1,2\n", "row 1 ends before its x"),
        ("label;z;y;x\n1;1;2;3\n2\n", "row 2 ends before its z"),
        ("z,z,y,x\n1,2,3,4\n", "two columns named 'z'"),
        ("z,Z,y,x\n1,2,3,4\n", "two columns named 'z'"),
        ("z (nm),z_um,y,x\n1,2,3,4\n", "two columns for 'z'"),
        ("z (px),y (px),x (px)\n1,2,3\n", r"'z \(px\)' is in voxels: give 'z' in nm"),
        ("slice,y,x\n1,2,3\n", "no column 'z', but slice, y, x"),
        ("3000,5000,5100\n3000,5000,5200\n", "begins with numbers: its first row must name"),
        ("z;y;x\n3,000;5,000;5,100\n", r"row 1: 3,000 may be 3\.000 or 3000"),
        ("z;y;x\n3.000;5.000;5.100\n", r"row 1: 3\.000 may be 3\.000 or 3000"),
        ('z,y,x\n"3,000",5000,5100\n', r"row 1: 3,000 may be 3\.000 or 3000"),
        ("z;y;x\n3000,5;5000.5;5100\n", r"row 1: y is '5000\.5'"),
        ("z,y,x\n1,2,3 nm\n", "row 1: x is '3 nm'"),
        ("z,y,x\n1,2,#REF!\n", "row 1: x is '#REF!'"),
        ("z,y,x\n1,inf,3\n", "row 1: y is 'inf'"),
        ("z,y,x\n1,1e999,3\n", "row 1: y is '1e999'"),
        ("z,y,x\n1,0x10,3\n", "row 1: y is '0x10'"),
        ("z,y,x\n1,1_0,3\n", "row 1: y is '1_0'"),
        ("z,y,x\n1,\u0663,3\n", "row 1: y is '\u0663'"),
        ("z,y,x\n1," + "9" * 50_000 + "x,3\n", "row 1: y is '9999"),
        ("z,y,x\n1,--2,3\n", "row 1: y is '--2'"),
        ('z,y,x\n1,"2,3\n', "not a CSV table"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("PK\x03\x04 and so on", "workbook .* save the table as CSV"),
        ("\0\1\2\3\4", "not a text file"),
        ("z,y,x\n1,2,3\n1,\0,3\n", "not a text file"),
    ],
)
def test_what_is_not_plain_is_refused_by_its_row(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=fault) as raised:
        places(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(RIGHT, columns=PLACE, index=[7, 7]),
        pd.DataFrame(RIGHT, columns=["z (nm)", "y_nm", "x"]),
        pd.DataFrame(RIGHT, columns=PLACE).astype(str),
        pd.DataFrame(RIGHT, columns=PLACE).astype({"z": "Float64", "y": object, "x": "float32"}),
        pd.DataFrame(RIGHT, columns=PLACE).assign(note=["a", ""]),
    ],
)
def test_frames_and_parquet_are_read_by_their_names(tmp_path: Path, frame: pd.DataFrame) -> None:
    assert places(frame) == [pytest.approx(row) for row in RIGHT]
    frame.to_parquet(tmp_path / "a.parquet")
    assert places(tmp_path / "a.parquet") == [pytest.approx(row) for row in RIGHT]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (pd.DataFrame({"z": [1.0], "y": [2.0]}), "the table has no column 'x'"),
        (pd.DataFrame([[1, 2, 3, 4]], columns=["z", "y", "x", "x"]), "two columns named 'x'"),
        (pd.DataFrame({"z": [1.0], "y": [2.0], "x": [np.inf]}), "row 1: x is 'inf'"),
        (pd.DataFrame({"z": [1.0], "y": [2.0], "x": [True]}), "row 1: x is 'True'"),
        (pd.DataFrame({"z": [1.0], "y": [2.0], "x": [2j]}), "row 1: x is '2j'"),
        (pd.DataFrame({"z": [1], "y": [2], "x": ["far"]}), "row 1: x is 'far'"),
        ([[1, 2, 3]], "the table must be a path or a DataFrame, not list"),
    ],
)
def test_frames_that_make_no_sense(source: Any, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        places(source)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no file .*none\.csv"):
        places(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder"):
        places(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing more PAR1")
    with pytest.raises(InputError, match=r"a\.parquet is no Parquet table, or damaged"):
        places(tmp_path / "a.parquet")
    (tmp_path / "a.parquet").rename(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"Parquet table without the suffix \.parquet"):
        places(tmp_path / "a.csv")


def test_empty_fields_are_nan_whatever_stands_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("z,y,x,label\n1,,NaN,1\nN/A,null,2,\nna,None,nan,\n")
    assert np.isnan(places(path)).tolist() == [[False, True, True], [True, True, False], [True] * 3]
    assert read_table(path, "").numbers(["label"])["label"].tolist()[0] == 1.0


def test_a_table_that_is_written_opens_in_a_spreadsheet_and_here(tmp_path: Path) -> None:
    table = pd.DataFrame({"label": [1], "z": [5.5], "reason": ["spans 1.0 µm, 2 µm³ – too small"]})
    write_table(tmp_path / "a", table)
    content = (tmp_path / "a.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbflabel,z")
    assert content.decode("utf-8-sig") == (
        'label,z,reason\n1,5.5,"spans 1.0 µm, 2 µm³ – too small"\n'
    )
    assert list(pd.read_csv(tmp_path / "a.csv")) == ["label", "z", "reason"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), table)
    write_table(tmp_path / "a", table.assign(reason="C:\\Müller is full"))
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbflabel,z")
    assert pd.read_csv(tmp_path / "a.csv")["reason"].tolist() == ["C:\\Müller is full"]
    assert read_table(tmp_path / "a.csv", "").numbers(["label", "z"])["z"].tolist() == [5.5]
    write_table(tmp_path / "a", table.assign(reason="plain"))
    assert (tmp_path / "a.csv").read_bytes() == b"label,z,reason\n1,5.5,plain\n"
