"""The slices for training, and those held out for validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hela_dask.errors import InputError, ParameterError
from hela_dask.formatting import number_runs

__all__ = ["SPLITS", "Split", "make_split"]

SPLITS = ("blocks", "random")
_SHARE = 0.1


@dataclass(frozen=True)
class Split:
    """Slices, 1-based; none is in both."""

    # ``blocks``: neighbouring slices stay in one part. ``random``: each slice at random, so that
    # those held out have training slices beside them.
    kind: str
    # Rising
    train: tuple[int, ...]
    validation: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """As a model's card keeps it."""
        return {
            "kind": self.kind,
            "train": number_runs(self.train),
            "validation": number_runs(self.validation),
            "leaking": self.kind == "random",
        }


def make_split(
    labelled: Sequence[int],
    kind: str = "blocks",
    *,
    slices: tuple[int, int] | None = None,
    validation: tuple[int, int] | float | None = None,
    seed: int = 0,
) -> Split:
    """Split the labelled slices, 1-based and rising; `kind` is ``blocks`` or ``random``, by `seed`.

    Parameters
    ----------
    slices : (first, last), optional
        For training, less those held out; default: all.
    validation : (first, last) or float, optional
        Held out: these, or this share of the slices: the last ones or, if `kind` is ``random``,
        any. Default: a tenth.

    Raises
    ------
    ParameterError, InputError
        If the arguments make no sense; when one side is empty.
    """
    if kind not in SPLITS:
        raise ParameterError(f"there is no split {kind!r}; known: {', '.join(SPLITS)}")
    first, last = slices or (labelled[0], labelled[-1])
    inside = [z for z in labelled if first <= z <= last]
    if isinstance(validation, tuple):
        if kind == "random":
            raise ParameterError("a random split holds out a share of the slices, as 0.1")
        held = [z for z in labelled if validation[0] <= z <= validation[1]]
        what = f"{validation[0]}:{validation[1]}"
    else:
        share = _SHARE if validation is None else float(validation)
        if not 0 < share < 1:
            raise ParameterError(f"the share of slices held out is between 0 and 1, not {share:g}")
        count = max(1, round(share * len(inside)))
        order = np.arange(len(inside))
        if kind == "random":
            order = np.sort(np.random.default_rng(seed).permutation(order)[-count:])
        held = [inside[at] for at in order[-count:]] if inside else []
        what = "held out"
    kept = [z for z in inside if z not in set(held)]
    for name, some, asked in (("learn from", kept, f"{first}:{last}"), ("judge by", held, what)):
        if not some:
            raise InputError(
                f"no labelled slice is left to {name} ({asked}): slices "
                f"{labelled[0]}:{labelled[-1]} have labels"
            )
    return Split(kind, tuple(kept), tuple(held))
