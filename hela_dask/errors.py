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
    """Base of all errors that are the input's, not the program's."""


class InputError(HelaDaskError, ValueError):
    """An input file, array or table has the wrong content."""


class MissingInputError(HelaDaskError, FileNotFoundError):
    """A path that was named does not exist."""


class ExistsError(HelaDaskError, FileExistsError):
    """A result is there already and may not be replaced without ``overwrite``."""


class ParameterError(HelaDaskError, ValueError):
    """A parameter is unknown or its value makes no sense."""


class NothingToDoError(HelaDaskError, LookupError):
    """The input is sound, but holds nothing to segment (no resin, no cell)."""


class ResourceError(HelaDaskError, MemoryError):
    """The work does not fit the memory or the disk that it was given."""


class ClusterError(HelaDaskError, ConnectionError):
    """A dask scheduler or its workers are gone or cannot be reached; finished work is kept."""


class WorkerError(ClusterError):
    """A task ended its workers each time that it ran, and why was not seen."""


class StorageError(HelaDaskError, OSError):
    """Writing or reading an array failed (full disk, shared shard, broken chunk)."""


class MissingDependencyError(HelaDaskError, ImportError):
    """An optional package is needed and not installed."""
