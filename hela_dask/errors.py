"""The error classes: every message names the fault, its place and the remedy in one sentence.

Each inherits the built-in that it refines, so a caller may catch either. The command line turns
any :class:`HelaDaskError` into that sentence and exit code 1, without a traceback.
"""

from __future__ import annotations

__all__ = [
    "ClusterError",
    "ExistsError",
    "HelaDaskError",
    "InputError",
    "MissingDependencyError",
    "MissingInputError",
    "NothingToDoError",
    "ParameterError",
    "ResourceError",
    "StorageError",
    "WorkerError",
]


class HelaDaskError(Exception):
    """Base of all errors that are the input's, not the program's.

    Examples
    --------
    >>> import hela_dask as hd
    >>> try:
    ...     hd.open_volume("hela.tif")
    ... except hd.HelaDaskError as error:
    ...     print(type(error).__name__)
    MissingInputError
    """


class InputError(HelaDaskError, ValueError):
    """An input file, array or table has the wrong content.

    Examples
    --------
    >>> import hela_dask as hd
    >>> issubclass(hd.InputError, ValueError)
    True
    """


class MissingInputError(HelaDaskError, FileNotFoundError):
    """A path that was named does not exist.

    Examples
    --------
    >>> import hela_dask as hd
    >>> try:
    ...     hd.open_run("other.run")
    ... except hd.MissingInputError as error:
    ...     print(error)
    no run folder at other.run
    """


class ExistsError(HelaDaskError, FileExistsError):
    """A result is there already and may not be replaced without ``overwrite``.

    Examples
    --------
    >>> import hela_dask as hd
    >>> issubclass(hd.ExistsError, FileExistsError)
    True
    """


class ParameterError(HelaDaskError, ValueError):
    """A parameter is unknown or its value makes no sense.

    Examples
    --------
    >>> import hela_dask as hd
    >>> try:
    ...     hd.Parameters.from_dict({"detect": {"spacings": 500.0}})
    ... except hd.ParameterError as error:
    ...     print(error)
    unknown parameter in [detect]: 'spacings'; did you mean 'spacing'?
    """


class NothingToDoError(HelaDaskError, LookupError):
    """The input is sound, but holds nothing to segment (no resin, no cell).

    Examples
    --------
    >>> import hela_dask as hd
    >>> issubclass(hd.NothingToDoError, LookupError)
    True
    """


class ResourceError(HelaDaskError, MemoryError):
    """The work does not fit the memory or the disk that it was given.

    Examples
    --------
    >>> import hela_dask as hd
    >>> issubclass(hd.ResourceError, MemoryError)
    True
    """


class ClusterError(HelaDaskError, ConnectionError):
    """A dask scheduler or its workers are gone or cannot be reached; finished work is kept."""


class WorkerError(ClusterError):
    """A task ended its workers each time that it ran, and why was not seen."""


class StorageError(HelaDaskError, OSError):
    """Writing or reading an array failed (full disk, shared shard, broken chunk).

    Examples
    --------
    >>> import hela_dask as hd
    >>> issubclass(hd.StorageError, OSError)
    True
    """


class MissingDependencyError(HelaDaskError, ImportError):
    """An optional package is needed and not installed.

    Examples
    --------
    >>> import hela_dask as hd
    >>> issubclass(hd.MissingDependencyError, ImportError)
    True
    """
