"""Fetch a public data set of HeLa cells, verified, with its licence and citation."""

from __future__ import annotations

import contextlib
import logging
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hela_dask.datasets.download import download, part_size
from hela_dask.datasets.fetched import Sample
from hela_dask.datasets.readme import README, check_readme, write_readme
from hela_dask.datasets.registry import DataSet, SetFile, find_set, read_registry, record_files
from hela_dask.datasets.unpack import archive_folder, unpack
from hela_dask.errors import (
    ExistsError,
    HelaDaskError,
    MissingDependencyError,
    MissingInputError,
    NothingToDoError,
    ResourceError,
    StorageError,
)
from hela_dask.formatting import size_text
from hela_dask.storage.files import existing_folder, storage_errors
from hela_dask.storage.remote import file_facts
from hela_dask.storage.urls import local_path
from hela_dask.tasks.lock import hold
from hela_dask.tasks.progress import Count, counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Sample", "sample", "samples"]

log = logging.getLogger(__name__)

_MIB = 2**20


def samples() -> pd.DataFrame:
    """The public data sets that :func:`sample` fetches.

    Returns
    -------
    pandas.DataFrame
        One row per set, with its name as the index, and the columns title, size, voxel size
        (nm, z, y, x), licence, check of the files, and purpose; all are texts.

    Examples
    --------
    >>> import hela_dask as hd
    >>> "slices" in hd.samples().index
    True
    """
    import pandas as pd

    rows = {name: data.row() for name, data in read_registry().items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")


def sample(
    name: str,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: bool | Count = True,
) -> Sample:
    """Fetch a public data set of HeLa cells.

    Each file is verified by its checksum, or by its size where no checksum is known
    (:func:`samples` lists which). A damaged file is fetched again once. After an error or Ctrl-C,
    the same call continues. Files that are there already and intact are kept; zip and tar files
    are unpacked beside them.

    Parameters
    ----------
    name : str
        Name of the set, as :func:`samples` lists it.
    out : path, optional
        Folder for its files; default: a folder with the name of the set, in the current one.
    overwrite : bool
        Replace files of `out` that have the name of a file of the set, but another content.
    progress : bool or callable
        Show the progress, on a terminal; or a function that gets the MiB that are there, and all.

    Returns
    -------
    Sample
        Folder, files, licence, citation, and the command that converts the images.

    Raises
    ------
    ParameterError
        When there is no set of this name.
    NothingToDoError
        When the files of the set are to be fetched by hand, from its page.
    ExistsError
        When a file of `out` has another content, or another process fetches into `out`.
    ResourceError
        When the disk has no room for the files.
    MissingInputError
        When the server has no such file any more.
    StorageError
        When the server or the disk fails, or a file comes damaged twice.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.sample("slices", "data")  # doctest: +SKIP
    >>> found.licence  # doctest: +SKIP
    'CC0'
    """
    data = find_set(name)
    if data.by_hand:
        raise NothingToDoError(
            f"{name} is fetched by hand, as no address of its files is known here: its page is "
            f"{data.page} (licence: {data.licence}){_then(data)}"
        )
    _check_pooch()
    folder = local_path(name if out is None else out)
    files = data.files or record_files(data.record or "")
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with hold(folder, by="sample"):
        check_readme(folder, name, overwrite=overwrite)
        sizes = _sizes(folder, files)
        missing = [file for file in files if not _is_there(folder, file, sizes, overwrite)]
        _check_disk(folder, name, data, missing, sizes)
        commands = _commands(data, folder, files)
        write_readme(folder, name, data, files, commands)
        _fetch_all(folder, missing, sizes, progress)
        for file in files:
            if archive_folder(folder / file.name) is not None:
                unpack(folder / file.name)
    return Sample(
        name,
        data.title,
        data.licence,
        data.citation,
        folder,
        tuple(folder / file.name for file in files),
        len(files) - len(missing),
        data.verified_by,
        commands,
    )


def _then(data: DataSet) -> str:
    """The command after a download by hand."""
    if data.voxel_size is None:
        return ""
    return f"; then hela-dask convert SLICES out.ome.zarr {_option(data)}"


def _option(data: DataSet) -> str:
    return "--voxel-size " + " ".join(f"{step:g}" for step in data.voxel_size or ())


def _commands(data: DataSet, folder: Path, files: Sequence[SetFile]) -> tuple[str, ...]:
    """The commands that convert the images of a set."""
    if data.convert is None or data.voxel_size is None:
        return ()
    sources = [data.convert]
    if "*" in data.convert:
        sources = [file.name for file in files if Path(file.name).match(data.convert)]
    return tuple(
        f"hela-dask convert {shlex.quote(str(folder / source))} "
        f"{shlex.quote(f'{Path(source).stem}.ome.zarr')} {_option(data)}"
        for source in sources
    )


def _check_pooch() -> None:
    try:
        import pooch  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(f"sample needs pooch: pip install pooch ({error})") from error


def _sizes(folder: Path, files: Sequence[SetFile]) -> dict[str, int | None]:
    """Bytes of each file: as registered, or as the server states them where that is needed."""
    asked = [
        file
        for file in files
        if file.bytes is None and not (file.checksum and (folder / file.name).is_file())
    ]
    found = file_facts([file.url for file in asked])
    sizes = {file.name: file.bytes for file in files}
    for file, facts in zip(asked, found, strict=True):
        if facts is None:
            raise MissingInputError(f"{file.url}: the server has no such file any more")
        sizes[file.name] = facts.size
    return sizes


def _is_there(folder: Path, file: SetFile, sizes: dict[str, int | None], overwrite: bool) -> bool:
    """Whether a file is there and intact; ExistsError where it is another one."""
    import pooch

    path = folder / file.name
    if not path.exists():
        return False
    size = sizes[file.name]
    fault = ""
    if not path.is_file():
        raise ExistsError(f"{path} is no file: choose another folder with --out")
    if size is not None and path.stat().st_size != size:
        fault = f"it has {path.stat().st_size} bytes instead of {size}"
    elif file.checksum is not None:
        method, _, value = file.checksum.partition(":")
        with storage_errors(path):
            if pooch.file_hash(str(path), alg=method) != value:
                fault = f"its {method} is another one"
    if fault and not overwrite:
        raise ExistsError(
            f"{path} is there already, with another content ({fault}): choose another folder with "
            "--out, or replace it with --overwrite"
        )
    return not fault


def _check_disk(
    folder: Path,
    name: str,
    data: DataSet,
    missing: Sequence[SetFile],
    sizes: dict[str, int | None],
) -> None:
    """Refuse a download that the disk has no room for."""
    needed, share = 0, (data.about or 0) // max(1, len(data.files))
    for file in missing:
        size = sizes[file.name]
        needed += max(0, (share if size is None else size) - part_size(_part(folder, file)))
    free = shutil.disk_usage(existing_folder(folder)).free
    if needed > free:
        raise ResourceError(
            f"{name} needs {size_text(needed)} more in {folder}, which has {size_text(free)} free: "
            "make room there, or choose another folder with --out"
        )


def _part(folder: Path, file: SetFile) -> Path:
    path = folder / file.name
    return path.with_name(f".{path.name}.part")


def _fetch_all(
    folder: Path,
    files: Sequence[SetFile],
    sizes: dict[str, int | None],
    progress: bool | Count,
) -> None:
    total = sum(sizes[file.name] or 0 for file in files)
    with counted(progress if files else False, "sample", "MiB") as show:
        done = shown = 0

        def seen(size: int) -> None:
            nonlocal shown
            shown = max(shown, done + size)  # a damaged file is fetched again
            show(min(shown, total) // _MIB, -(-total // _MIB))

        seen(0)
        for file in files:
            _fetch(folder, file, sizes[file.name], seen)
            done += sizes[file.name] or 0
            show(-(-min(done, total) // _MIB), -(-total // _MIB))


def _fetch(folder: Path, file: SetFile, size: int | None, seen: Callable[[int], None]) -> None:
    """Fetch one file by pooch, which compares its checksum and tries once more."""
    import pooch

    tries = 0

    def downloader(url: str, target: str, _: Any) -> None:
        nonlocal tries
        tries += 1
        if tries > 1:
            log.warning("%s came damaged (another checksum): it is fetched again", url)
        try:
            download(url, Path(target), _part(folder, file), size, seen)
        except HelaDaskError as error:
            raise _FaultError(error) from error  # pooch tries again after a ValueError

    if file.checksum is None:
        (folder / file.name).unlink(missing_ok=True)  # --overwrite; pooch keeps it otherwise
    registry, urls = {file.name: file.checksum}, {file.name: file.url}
    store = pooch.create(
        path=folder.absolute(), base_url="", registry=registry, urls=urls, retry_if_failed=1
    )
    try:
        with storage_errors(folder / file.name), _quiet(pooch.get_logger()):
            store.fetch(file.name, downloader=downloader)
    except _FaultError as error:
        raise error.fault from error.fault.__cause__
    except ValueError as error:
        raise StorageError(
            f"{file.url} came {tries} times with another content than its checksum states "
            f"({file.checksum}): nothing of it is kept; the file was replaced or is damaged on the "
            f"server, or a proxy changes it on its way (see {folder / README})"
        ) from error


class _FaultError(Exception):
    """A fault with its own sentence, on its way through pooch."""

    def __init__(self, fault: HelaDaskError) -> None:
        super().__init__(str(fault))
        self.fault = fault


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep the messages of pooch off the screen; ours are in the log of this package."""
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
