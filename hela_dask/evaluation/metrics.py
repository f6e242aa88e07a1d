"""Agreement of two labellings from integer counts: ratios, Rand, matching, information."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import InputError, ParameterError
from hela_dask.kernels.counting import count_pairs

__all__ = [
    "IOU_THRESHOLDS",
    "SCORES",
    "Confusion",
    "Contingency",
    "MatchLevel",
    "Matching",
    "adjusted_rand_index",
    "contingency",
    "match_instances",
    "sum_contingencies",
    "summarise",
    "variation_of_information",
]

IOU_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)

SCORES = ("ji", "ac", "dice", "ari", "npr", "kappa")
"""Names of the ratios of a :class:`Confusion`, in the order of every table."""

Integers = NDArray[np.integer] | NDArray[np.bool_]

_AT_ONCE = 2**22  # voxels: a large plane as 64-bit keys, several copies of it, is gigabytes


@dataclass(frozen=True)
class Contingency:
    """How many voxels carry each pair of labels; the one thing every score is computed from."""

    # (n,) int64: The pairs that occur, sorted by prediction, then truth; 0 is "no instance"
    prediction: NDArray[np.int64]
    truth: NDArray[np.int64]
    counts: NDArray[np.int64]  # (n,) int64: Voxels of each pair, all above zero

    def total(self) -> int:
        """Voxels counted."""
        return int(self.counts.sum())

    def sizes(self, side: str) -> dict[int, int]:
        """Voxels of each label of one side, ``"prediction"`` or ``"truth"``, 0 included."""
        ids, where = np.unique(getattr(self, side), return_inverse=True)
        sums = np.zeros(ids.size, np.int64)
        np.add.at(sums, where, self.counts)
        return dict(zip(ids.tolist(), sums.tolist(), strict=True))

    def confusion(self, predicted: Iterable[int], true: Iterable[int]) -> Confusion:
        """Counts of the union of some predicted labels against the union of some true ones."""
        p = np.isin(self.prediction, np.fromiter(predicted, np.int64))
        t = np.isin(self.truth, np.fromiter(true, np.int64))
        both = (p & t, p & ~t, ~p & t, ~p & ~t)
        return Confusion(*(int(self.counts[where].sum()) for where in both))

    def overlaps(self, true: Iterable[int]) -> dict[int, int]:
        """Voxels that each predicted label but 0 shares with the union of some true labels."""
        keep = np.isin(self.truth, np.fromiter(true, np.int64)) & (self.prediction != 0)
        part = Contingency(self.prediction[keep], self.truth[keep], self.counts[keep])
        return part.sizes("prediction")


def contingency(prediction: Integers, truth: Integers) -> Contingency:
    """Count the pairs of labels of two arrays of one shape.

    InputError where the shapes differ or a label is negative.
    """
    if prediction.shape != truth.shape:
        raise InputError(f"label arrays of shape {prediction.shape} and {truth.shape} do not match")
    if prediction.size == 0:
        return sum_contingencies([])
    tops = _largest(prediction), _largest(truth)
    if (tops[0] + 1) * (tops[1] + 1) <= max(1 << 20, prediction.size):
        table = np.zeros((tops[0] + 1, tops[1] + 1), np.int64)
        count_pairs(prediction.ravel(), truth.ravel(), table)
        p, t = np.nonzero(table)
        return Contingency(p, t, table[p, t])
    if prediction.size > _AT_ONCE:
        parts = -(-prediction.size // _AT_ONCE)
        pieces = (np.array_split(labels.ravel(), parts) for labels in (prediction, truth))
        return sum_contingencies([contingency(p, t) for p, t in zip(*pieces, strict=True)])
    p, t = (labels.ravel().astype(np.int64) for labels in (prediction, truth))
    p_ids, p = np.unique(p, return_inverse=True)
    t_ids, t = np.unique(t, return_inverse=True)
    keys, counts = np.unique(p * t_ids.size + t, return_counts=True)
    pairs = p_ids[keys // t_ids.size], t_ids[keys % t_ids.size]
    return Contingency(*pairs, counts.astype(np.int64))


def _largest(labels: Integers) -> int:
    """The largest label, of labels that may be counted."""
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise InputError(f"labels must not be negative, found {labels.min()}")
    top = int(labels.max())
    if top > np.iinfo(np.int64).max:
        raise InputError(f"labels above 2**63 are not supported, found {top}")
    return top


def sum_contingencies(tables: Sequence[Contingency]) -> Contingency:
    """The table of several parts together; exact in any order."""
    p, t, n = (
        np.concatenate([np.zeros(0, np.int64), *(getattr(table, name) for table in tables)])
        for name in ("prediction", "truth", "counts")
    )
    pairs, where = np.unique(np.stack([p, t]), axis=1, return_inverse=True)
    counts = np.zeros(pairs.shape[1], np.int64)
    np.add.at(counts, where.ravel(), n)
    return Contingency(pairs[0], pairs[1], counts)


@dataclass(frozen=True)
class Confusion:
    """Voxels of a predicted against a true mask, and the ratios the papers report.

    Every ratio is NaN where neither mask has a voxel: there is nothing to agree on, and an
    accuracy of 1 for an empty slice would only flatter the mean.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn
        )

    @property
    def present(self) -> bool:
        """Whether prediction or truth has a voxel here."""
        return self.tp + self.fp + self.fn > 0

    @property
    def ji(self) -> float:
        """Jaccard index TP / (TP + FP + FN) (PLoS ONE 2020, "Quantitative comparison")."""
        return self.tp / (self.tp + self.fp + self.fn) if self.present else math.nan

    @property
    def ac(self) -> float:
        """Accuracy (TP + TN) / all (PLoS ONE 2020, "Quantitative comparison")."""
        total = self.tp + self.fp + self.fn + self.tn
        return (self.tp + self.tn) / total if self.present else math.nan

    @property
    def dice(self) -> float:
        """Dice coefficient 2 TP / (2 TP + FP + FN)."""
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn) if self.present else math.nan

    @property
    def ari(self) -> float:
        """Adjusted Rand index of the two partitions into mask and rest (Hubert & Arabie 1985)."""
        if not self.present:
            return math.nan
        return _adjusted_rand(
            (self.tp, self.fp, self.fn, self.tn),
            (self.tp + self.fp, self.fn + self.tn),
            (self.tp + self.fn, self.fp + self.tn),
        )

    @property
    def kappa(self) -> float:
        """Cohen's kappa; 1 where both masks fill the whole slice."""
        if not self.present:
            return math.nan
        chance = (self.tp + self.fp) * (self.fp + self.tn) + (self.tp + self.fn) * (
            self.fn + self.tn
        )
        agreed = 2 * (self.tp * self.tn - self.fn * self.fp)
        return agreed / chance if chance else 1.0

    @property
    def npr(self) -> float:
        """What Hosangadi et al. report as normalised probabilistic Rand index: (1 + kappa) / 2."""
        return (1 + self.kappa) / 2

    def ratios(self) -> dict[str, float]:
        """All of :data:`SCORES` by name."""
        return {name: float(getattr(self, name)) for name in SCORES}


def summarise(values: Iterable[float]) -> dict[str, float]:
    """Mean, median and sample SD (n - 1) over the slices that are not NaN; NaN where undefined."""
    array = np.array([value for value in values if not math.isnan(value)])
    return {
        "mean": float(array.mean()) if array.size else math.nan,
        "median": float(np.median(array)) if array.size else math.nan,
        "sd": float(array.std(ddof=1)) if array.size > 1 else math.nan,
    }


def _pairs(counts: Iterable[int]) -> int:
    return sum(n * (n - 1) // 2 for n in counts)


def _adjusted_rand(cells: Iterable[int], rows: Iterable[int], columns: Iterable[int]) -> float:
    # Whole numbers up to the last division: a plane has 1e15 pairs and their products cancel.
    rows = list(rows)
    index, a, b, total = _pairs(cells), _pairs(rows), _pairs(columns), _pairs([sum(rows)])
    spread = (a + b) * total - 2 * a * b
    return 2 * (index * total - a * b) / spread if spread else 1.0


def adjusted_rand_index(table: Contingency) -> float:
    """Adjusted Rand index of two labellings, 0 counted as a segment (Hubert & Arabie 1985).

    Exact: the index is one division of two whole numbers. 1 for two equal labellings, about 0
    for unrelated ones; NaN for an empty table.
    """
    if not table.counts.size:
        return math.nan
    rows, columns = (table.sizes(side).values() for side in ("prediction", "truth"))
    return _adjusted_rand(table.counts.tolist(), rows, columns)


def variation_of_information(table: Contingency) -> tuple[float, float]:
    """Variation of information in bits, 0 counted as a segment (Meila 2007).

    Split, H(prediction | truth), which grows when true segments are cut up, and merge,
    H(truth | prediction), which grows when they are joined; their sum is the distance.
    """
    total = table.total()
    if not total:
        return math.nan, math.nan
    share = table.counts / total
    lost = []
    for side in ("truth", "prediction"):
        sizes = table.sizes(side)
        whole = np.array([sizes[label] for label in getattr(table, side).tolist()])
        lost.append(float((share * np.log2(whole / table.counts)).sum()))
    return lost[0], lost[1]


@dataclass(frozen=True)
class MatchLevel:
    """Matched instances at one threshold of the intersection over union."""

    iou: float
    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float:
        """Share of predicted instances that are right; NaN without any."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else math.nan

    @property
    def recall(self) -> float:
        """Share of true instances that are found; NaN without any."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else math.nan

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); NaN without any instance."""
        size = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / size if size else math.nan

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN) of the instances, as Caicedo et al. 2019 use the word."""
        size = self.tp + self.fp + self.fn
        return self.tp / size if size else math.nan


@dataclass(frozen=True)
class Matching:
    """Predicted instances paired one to one with true ones."""

    # (prediction, truth, iou), sorted by truth; each IoU is at least the lowest threshold
    pairs: tuple[tuple[int, int, float], ...]
    levels: tuple[MatchLevel, ...]  # one a threshold
    # True instances without, and predicted ones without a partner at the lowest threshold
    missed: tuple[int, ...]
    spurious: tuple[int, ...]

    def confusion(self, table: Contingency) -> Confusion:
        """Counts of one slice's table: right is a voxel that has both instances of a pair.

        A voxel of two instances that are no pair is a false positive and a false negative.
        """
        partner = {prediction: truth for prediction, truth, _ in self.pairs}
        tp = fp = fn = tn = 0
        columns = (table.prediction.tolist(), table.truth.tolist(), table.counts.tolist())
        for p, t, n in zip(*columns, strict=True):
            right = p != 0 and partner.get(p) == t
            tp += n * right
            fp += n * (p != 0 and not right)
            fn += n * (t != 0 and not right)
            tn += n * (p == 0 and t == 0)
        return Confusion(tp, fp, fn, tn)

    @property
    def mean_average_precision(self) -> float:
        """Mean of the average precision over the thresholds."""
        return float(np.mean([level.average_precision for level in self.levels]))

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the pairs; NaN without any."""
        return float(np.mean([iou for *_, iou in self.pairs])) if self.pairs else math.nan


def match_instances(table: Contingency, thresholds: Sequence[float] = IOU_THRESHOLDS) -> Matching:
    """Pair predicted and true instances by their intersection over union; 0 is no instance.

    `table` is that of the whole volume. Thresholds lie in [0.5, 1], else ParameterError: at 0.5 and
    above, taking the best pair first gives the most pairs possible.
    """
    wrong = [value for value in thresholds if not 0.5 <= value <= 1]
    if wrong or not thresholds:
        raise ParameterError(f"IoU thresholds must be in [0.5, 1], not {wrong}")
    predicted, true = table.sizes("prediction"), table.sizes("truth")
    candidates = []
    columns = (table.prediction.tolist(), table.truth.tolist(), table.counts.tolist())
    for p, t, shared in zip(*columns, strict=True):
        iou = shared / (predicted[p] + true[t] - shared)
        if p and t and iou >= min(thresholds):
            candidates.append((-iou, t, p))
    # Above 0.5 an instance has one candidate at most. At exactly 0.5 it can have two, but then it
    # is twice as large as each and they lie inside it, so that neither has another candidate.
    pairs: list[tuple[int, int, float]] = []
    used_p: set[int] = set()
    used_t: set[int] = set()
    for minus_iou, t, p in sorted(candidates):
        if p not in used_p and t not in used_t:
            used_p.add(p)
            used_t.add(t)
            pairs.append((p, t, -minus_iou))
    n_predicted, n_true = len(predicted.keys() - {0}), len(true.keys() - {0})
    levels = []
    for threshold in thresholds:
        tp = sum(iou >= threshold for *_, iou in pairs)
        levels.append(MatchLevel(threshold, tp, n_predicted - tp, n_true - tp))
    return Matching(
        pairs=tuple(sorted(pairs, key=lambda pair: pair[1])),
        levels=tuple(levels),
        missed=tuple(sorted(true.keys() - used_t - {0})),
        spurious=tuple(sorted(predicted.keys() - used_p - {0})),
    )
