"""The results of an evaluation: tables for people, JSON for scripts, curves for both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.errors import InputError
from hela_dask.evaluation.metrics import SCORES, Confusion, Matching, summarise
from hela_dask.evaluation.surfaces import SurfaceDistance, Surfaces
from hela_dask.pages import Card, Shown, as_frame, make_card
from hela_dask.storage.files import plain

__all__ = ["ClassScore", "ClassScores", "InstanceScores"]


@dataclass(frozen=True)
class ClassScore:
    """One class against the predicted instances that stand for it."""

    name: str
    values: tuple[int, ...]  # labels of the truth that make up the class
    # Predicted labels that were scored; empty where nothing overlaps the class
    instances: tuple[int, ...]
    first_slice: int  # 1-based number of the first of ``slices``
    slices: tuple[Confusion, ...]  # voxel counts of every evaluated slice
    # How far the two surfaces are apart in 3D; empty where that was not measured
    surfaces: Surfaces
    voxel_size: tuple[float, float, float] | None  # (z, y, x) in nm, or None

    @cached_property
    def pooled(self) -> Confusion:
        """Counts over all evaluated slices."""
        return reduce(add, self.slices)

    @cached_property
    def surface(self) -> SurfaceDistance:
        """Mean, 95 % and largest distance between the surfaces, nm; NaN if not measured."""
        return self.surfaces.summary()

    def within(self, first: int, last: int) -> ClassScore:
        """The same instances in some of the slices, 1-based, both included.

        Surface voxels of these slices count; the nearest one of the other surface may lie beyond.
        InputError where not all of these slices were evaluated.

        Examples
        --------
        >>> poles = scores["nucleus"].within(1, 74)  # doctest: +SKIP
        >>> poles.pooled.ji, poles.summaries()["ji"]["mean"], poles.surface.p95  # doctest: +SKIP
        """
        end = self.first_slice + len(self.slices) - 1
        if not self.first_slice <= first <= last <= end:
            raise InputError(
                f"slices {first}:{last} are not in {self.first_slice}:{end}, which were evaluated"
            )
        surfaces = Surfaces()
        if self.voxel_size is not None:
            step = self.voxel_size[0]
            surfaces = self.surfaces.between((first - 1.5) * step, (last - 0.5) * step)
        part = self.slices[first - self.first_slice : last - self.first_slice + 1]
        return replace(self, first_slice=first, slices=part, surfaces=surfaces)

    def per_slice(self) -> pd.DataFrame:
        """One row per slice.

        ``slice`` (1-based), ``tp``, ``fp``, ``fn``, ``tn`` and every ratio.
        """
        rows = [
            {"slice": self.first_slice + k, **vars(counts), **counts.ratios()}
            for k, counts in enumerate(self.slices)
        ]
        return pd.DataFrame(rows)

    def summaries(self) -> dict[str, dict[str, float]]:
        """Mean, median and SD of each ratio over the slices with truth or prediction."""
        return {name: summarise(getattr(counts, name) for counts in self.slices) for name in SCORES}

    def to_dict(self) -> dict[str, Any]:
        """Pooled ratios, surface distances, counts, summaries and per-slice lists; NaN kept."""
        rows = self.per_slice()
        return {
            **self.pooled.ratios(),
            "hausdorff_mean": self.surface.mean,
            "hausdorff_95": self.surface.p95,
            "hausdorff_max": self.surface.maximum,
            **vars(self.pooled),
            **{f"slice_{kind}": _of(self.summaries(), kind) for kind in ("mean", "median", "sd")},
            "values": list(self.values),
            "instances": list(self.instances),
            "slices": [self.first_slice, self.first_slice + len(self.slices) - 1],
            "voxel_size": list(self.voxel_size) if self.voxel_size else None,
            "per_slice": {str(name): rows[name].tolist() for name in rows},
        }


def _of(summaries: dict[str, dict[str, float]], kind: str) -> dict[str, float]:
    return {name: summary[kind] for name, summary in summaries.items()}


@dataclass(frozen=True)
class ClassScores(Shown):
    """Scores of several classes, by name."""

    classes: Mapping[str, ClassScore]

    def __getitem__(self, name: str) -> ClassScore:
        return self.classes[name]

    def within(self, first: int, last: int) -> ClassScores:
        """Of some of the slices, see :meth:`ClassScore.within`."""
        return ClassScores({name: item.within(first, last) for name, item in self.classes.items()})

    def table(self) -> pd.DataFrame:
        """One row per class: pooled ratios, distances in nm, and ji and ac a slice."""
        rows: dict[str, dict[str, float]] = {}
        for name, result in self.classes.items():
            row = {
                **result.pooled.ratios(),
                "hausdorff_mean": result.surface.mean,
                "hausdorff_95": result.surface.p95,
                "hausdorff_max": result.surface.maximum,
            }
            for ratio in ("ji", "ac", "dice"):
                for kind, value in result.summaries()[ratio].items():
                    row[f"{ratio}_{kind}"] = value
            rows[name] = row
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("class")

    def to_dict(self) -> dict[str, Any]:
        """``{"nucleus": {"ji": …, "ac": …, "dice": …, "per_slice": {"ji": […], …}, …}, …}``.

        Ready for JSON: undefined values are None.
        """
        return {name: plain(result.to_dict()) for name, result in self.classes.items()}

    def to_json(self) -> str:
        """:meth:`to_dict` on one line."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def plot(self, path: str | Path) -> Path:
        """Draw JI of every class over the slice number into a PNG."""
        from hela_dask.figures import draw_curves

        curves = {name: result.per_slice() for name, result in self.classes.items()}
        return draw_curves(curves, path)

    def _card(self) -> Card:
        return make_card("Scores of classes", {}, tables=(("", as_frame(self.table().T, 4)),))

    def __str__(self) -> str:
        return f"ClassScores\n{self.table().round(4).T.to_string()}"


@dataclass(frozen=True)
class InstanceScores(Shown):
    """Instances of a prediction matched with those of a truth."""

    matching: Matching
    ari: float  # adjusted Rand index over all voxels, background as one more segment
    variation: tuple[float, float]  # (split, merge): Variation of information, bits
    first_slice: int  # 1-based number of the first of ``slices``
    # Counts of every evaluated slice: right is a voxel that has both instances of a pair. A voxel
    # of two instances that are no pair is a false positive and a false negative.
    slices: tuple[Confusion, ...]

    def table(self) -> pd.DataFrame:
        """A row an IoU threshold."""
        names = ("tp", "fp", "fn", "precision", "recall", "f1", "average_precision")
        rows = [
            {"iou": level.iou, **{name: getattr(level, name) for name in names}}
            for level in self.matching.levels
        ]
        return pd.DataFrame(rows).set_index("iou")

    def pairs(self) -> pd.DataFrame:
        """Matched instances, a row each: ``prediction``, ``truth`` (ids) and ``iou``."""
        return pd.DataFrame(self.matching.pairs, columns=["prediction", "truth", "iou"])

    def per_slice(self) -> pd.DataFrame:
        """One row per slice: ``slice`` (1-based), ``tp``, ``fp``, ``fn``, ``ji`` and ``dice``."""
        names = ("tp", "fp", "fn", "ji", "dice")
        rows = [
            {"slice": self.first_slice + k, **{name: getattr(counts, name) for name in names}}
            for k, counts in enumerate(self.slices)
        ]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON, under the one key ``instances``."""
        rows = self.per_slice()
        return {
            "instances": plain(
                {
                    "mean_average_precision": self.matching.mean_average_precision,
                    "mean_iou": self.matching.mean_iou,
                    "ari": self.ari,
                    "variation_split": self.variation[0],
                    "variation_merge": self.variation[1],
                    "slices": [self.first_slice, self.first_slice + len(self.slices) - 1],
                    "per_slice": {str(name): rows[name].tolist() for name in rows},
                    "thresholds": self.table().reset_index().to_dict("records"),
                    "pairs": self.pairs().to_dict("records"),
                    "missed": list(self.matching.missed),
                    "spurious": list(self.matching.spurious),
                }
            )
        }

    def to_json(self) -> str:
        """:meth:`to_dict` on one line."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def plot(self, path: str | Path) -> Path:
        """Draw precision, recall and F1 over the IoU threshold into a PNG."""
        from hela_dask.figures import draw_matching

        return draw_matching(self.table(), path)

    def _card(self) -> Card:
        facts = {
            "missed": str(len(self.matching.missed)),
            "spurious": str(len(self.matching.spurious)),
            "adjusted Rand index": f"{self.ari:.4f}",
        }
        return make_card("Scores of instances", facts, tables=(("", as_frame(self.table(), 4)),))

    def __str__(self) -> str:
        return f"InstanceScores\n{self.table().round(4).to_string()}"
