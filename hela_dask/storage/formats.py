"""The formats that can be read, and advice for those that cannot."""

from __future__ import annotations

import os
from pathlib import Path

from hela_dask.documents.reading import read_json
from hela_dask.errors import HelaDaskError

__all__ = [
    "DM_SUFFIXES",
    "HDF5_SUFFIXES",
    "KIND_NAMES",
    "MRC_SUFFIXES",
    "TIFF_SUFFIXES",
    "ZARR_MARKS",
    "content_kind",
    "how_to_read",
    "is_n5",
    "is_pointer",
    "read_kind",
]

ZARR_MARKS = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")
MRC_SUFFIXES = (".mrc", ".mrcs", ".rec", ".st", ".map", ".ali")
HDF5_SUFFIXES = (".h5", ".hdf5", ".ims", ".he5")
DM_SUFFIXES = (".dm3", ".dm4")
KIND_NAMES = {
    "tiff": "a TIFF",
    "mrc": "an MRC file",
    "npy": "a .npy array",
    "hdf5": "an HDF5 file",
    "dm": "a DigitalMicrograph file",
    "zip": "a zip archive",
}
"""The kinds of :func:`read_kind`, as text."""
_SUFFIXES = {
    "tiff": TIFF_SUFFIXES,
    "mrc": MRC_SUFFIXES,
    "npy": (".npy",),
    "hdf5": HDF5_SUFFIXES,
    "dm": DM_SUFFIXES,
    "zip": (".zip", ".ozx"),
}

_IMAGEJ = "open it in Fiji and save it as TIFF"
_BIOFORMATS = "open it in Fiji (File > Import > Bio-Formats) and save it as TIFF"
_PICTURES = "open the folder in Fiji (File > Import > Image Sequence) and save it as TIFF"
_UNZIP = "unpack it, and name the file or folder that comes out"
_HDF4 = "it is no HDF5 file: export the volume as TIFF"
_ADVICE = {
    "an archive": (_UNZIP, (".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".zst")),
    "a file of arrays": (_HDF4, (".hdf", ".nc", ".mat", ".b2nd")),
    "a picture": (_PICTURES, (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".jp2", ".jpx", ".webp")),
    "a NIfTI file": (_IMAGEJ, (".nii", ".hdr", ".img")),
    "a file of a light microscope": (
        _BIOFORMATS,
        (".czi", ".lif", ".nd2", ".oib", ".oif", ".vsi", ".ser", ".emi", ".bdv", ".xml"),
    ),
    "an NRRD or MetaImage file": (_IMAGEJ, (".nrrd", ".nhdr", ".mha", ".mhd")),
    "an Amira file": (_IMAGEJ, (".am", ".hx")),
    "raw numbers without a header": (
        "import it in Fiji (File > Import > Raw) and save it as TIFF",
        (".raw", ".bin", ".dat"),
    ),
    "several arrays in one file": ("save the volume alone with numpy.save, as .npy", (".npz",)),
    "a table or text": (
        "name the volume or the labels",
        (".csv", ".txt", ".json", ".toml", ".xlsx"),
    ),
}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_USER_BLOCK = 512  # bytes before the start of HDF5 in files of MATLAB
_MAGIC = (
    (_HDF5, "hdf5"),
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b", "an archive"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\x93NUMPY", "npy"),
)
_READ = (
    "give a folder of TIFF or DigitalMicrograph slices, a TIFF, MRC, .npy, HDF5, Imaris, dm3 or "
    "dm4 file, an N5 container or an OME-Zarr (Fiji can save most formats as TIFF)"
)
_POINTERS = (b"version https://git-lfs", b"/annex/objects/", b".git/annex/objects/")


def content_kind(path: Path) -> str | None:
    """A key of :data:`KIND_NAMES` by a file's first bytes, or the name of a foreign format."""
    try:
        with path.open("rb") as file:
            start = file.read(_USER_BLOCK + len(_HDF5))
    except OSError:
        return None
    if start[208:212] == b"MAP ":
        return "mrc"
    if start[_USER_BLOCK:] == _HDF5:
        return "hdf5"
    return next((kind for magic, kind in _MAGIC if start.startswith(magic)), None)


def read_kind(path: Path) -> str | None:
    """A key of :data:`KIND_NAMES` for a file that a reader here takes, else None.

    By its content, where the suffix names no format that is not read; by the suffix, where the
    content is of no known kind: it may be damaged, or an MRC without marks.
    """
    suffix = path.suffix.lower()
    kind = content_kind(path) if path.is_file() else None
    if kind == "hdf5":
        return kind
    if any(suffix in known for _, known in _ADVICE.values()):
        return None
    if kind is not None:
        return kind if kind in KIND_NAMES else None
    return next((kind for kind, known in _SUFFIXES.items() if suffix in known), None)


def is_n5(folder: Path) -> bool:
    """Whether a folder is an N5 container, or a group or array inside one."""
    if (folder / "attributes.json").is_file():
        return True
    return any(item.suffix.lower() == ".n5" for item in (folder, *folder.absolute().parents))


def is_pointer(path: Path) -> bool:
    """Whether a file only points to content that git-annex or Git LFS has not fetched."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return False
    return any(start.startswith(mark) or mark in start for mark in _POINTERS)


def how_to_read(path: Path) -> str:
    """One sentence about a file or folder that no reader here takes: its kind, the advice."""
    if path.is_dir():
        return _folder_advice(path)
    if not path.is_file():
        return f"{path} is no regular file (a pipe or a device): name a file"
    if path.stat().st_size == 0:
        return f"{path} is empty: copy it again"
    if is_pointer(path):
        return (
            f"{path} only points to content that was not fetched: fetch it first "
            "(git annex get, or git lfs pull)"
        )
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    by_name = next(
        (
            kind
            for suffix in reversed(suffixes)
            for kind, (_, known) in _ADVICE.items()
            if suffix in known
        ),
        None,
    )
    content = content_kind(path)
    kind = by_name or content
    if content == "zip" and by_name is None:
        return f"{path} is a zip archive, which cannot be read here: {_UNZIP}"
    if kind in _ADVICE:
        return f"{path} is {kind}, which cannot be read here: {_ADVICE[kind][0]}"
    return f"{path} is no kind of file that can be read here: {_READ}"


def _volume_of_run(folder: Path) -> str:
    """The volume of a run and the labels in it, to name instead."""
    try:
        stated = read_json(folder / "run.json")["store"]
        store = Path(os.path.normpath(folder / stated))
    except (HelaDaskError, KeyError, TypeError):
        store = Path("hela.ome.zarr")
    return (
        f"name the volume that it was made of, as {store}, or its labels, as {store}/labels/cells"
    )


def _folder_advice(path: Path) -> str:
    items = _entries(path)
    if (path / "run.id").is_file():
        return f"{path} is the folder of a run: {_volume_of_run(path)}"
    if (path / "info").is_file():
        return f"{path} is a Neuroglancer volume, which cannot be read here: export it as TIFF"
    for item in items:
        if item.is_dir() and any((item / mark).exists() for mark in ZARR_MARKS):
            return f"{path} holds an OME-Zarr, and is none: name {item}"
    for item in items:
        if item.is_dir() and any(inner.suffix.lower() in TIFF_SUFFIXES for inner in _entries(item)):
            return f"{path} holds no TIFF slices, but its folders do: name one, such as {item}"
    for item in items:
        if item.suffix.lower() in (*MRC_SUFFIXES, *HDF5_SUFFIXES, ".npy", ".ozx", ".zip"):
            return f"{path} holds no TIFF slices, but {item.name}: name the file itself, {item}"
    kinds = [
        (item, kind, advice)
        for item in items
        for kind, (advice, known) in _ADVICE.items()
        if item.suffix.lower() in known and kind != "a table or text"
    ]
    if kinds:
        item, kind, advice = kinds[0]
        return (
            f"{path} holds no TIFF slices, but {item.name}, {kind}, which cannot be read here: "
            f"{advice}"
        )
    return f"{path} is not an OME-Zarr store, and holds no TIFF slices ({', '.join(TIFF_SUFFIXES)})"


def _entries(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []
