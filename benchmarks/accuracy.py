"""Every figure of docs/accuracy.md: ``python -m benchmarks.accuracy``, or ``make figures``.

Runs the methods with default parameters on the real cell with a published truth and on phantoms,
scores them, turns off one step at a time, damages the stacks, and writes a JSON from which the
page is made. ``python -m benchmarks.accuracy --quick --run RUN`` scores a run that is there.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import page, pictures, results
from benchmarks.ablation import ablation
from benchmarks.contrast import contrast
from benchmarks.robustness import RANGES, robustness
from benchmarks.runs import otsu, phantom_run, real_run, score_real
from benchmarks.stacks import data_folder, phantom_stack, real_stack
from hela_dask.methods.names import METHODS
from hela_dask.methods.registry import has_network
from hela_dask.running.provenance import read_run

SEEDS = (0, 1)

CLASSICAL = [name for name in METHODS if not has_network(name)]


@dataclass
class Work:
    """What is measured, where the runs lie, and what was found so far."""

    data: Path
    folder: Path
    methods: tuple[str, ...]
    runs: tuple[Path, ...]
    found: dict[str, Any]
    pictures: Path | None
    workers: int | None = None

    def _stamp(self, section: str, *parts: str) -> None:
        """Note when and by which code a section was measured, or some parts of it."""
        stamp = results.stamp(f"python -m benchmarks.accuracy {section} --write")
        for part in parts or ("",):
            self.found.setdefault("measured", {})[f"{section}/{part}".rstrip("/")] = stamp

    def real(self) -> None:
        """Whole runs on the real cell; with pictures of the first method's."""
        runs = self.runs or tuple(
            real_run(self.data, self.folder, method, self.workers) for method in self.methods
        )
        scored = {read_run(run)["method"]: score_real(run, self.data) for run in runs}
        self.found["real"] = {**self.found.get("real", {}), **scored}
        self._stamp("real", *scored)
        for method, real in scored.items():
            _tell_real(method, real)
        if self.pictures is not None:
            self.pictures.mkdir(exist_ok=True)
            for run in runs:
                method = read_run(run)["method"]
                if method == METHODS[0]:
                    for old in self.pictures.glob("*_[0-9][0-9][0-9].jpg"):
                        old.unlink()
                    self.found["worst"] = pictures.worst_pictures(
                        run, self.data, scored[method], self.pictures
                    )
            pictures.curves(self.found["real"], self.pictures)

    def otsu(self) -> None:
        """The plainest background."""
        self.found["otsu"] = otsu(self.data)
        self._stamp("otsu")
        print(f"Otsu, background: {self.found['otsu']['1-180']['ji']:.4f}", flush=True)

    def phantoms(self) -> None:
        """Phantoms of two seeds."""
        rows = self.found.setdefault("phantoms", {})
        for method in self.methods:
            for seed in SEEDS:
                row = phantom_run(self.folder, method, seed, self.workers)
                rows.setdefault(method, {})[str(seed)] = row
                self._stamp("phantoms", f"{method}/{seed}")
                print(f"phantom {seed}, {method}: {rows[method][str(seed)]}", flush=True)

    def ablation(self) -> None:
        """Each step turned off, on the real cell and on a phantom's."""
        stacks = {"real": real_stack(self.data), "phantom": phantom_stack()}
        self.found["ablation"] = {
            name: ablation(stack, method=self.methods[0], tell=_tell)
            for name, stack in stacks.items()
        }
        self._stamp("ablation")

    def robustness(self) -> None:
        """Damaged stacks."""
        self.found["robustness"] = robustness(
            real_stack(self.data), tuple(RANGES), method=self.methods[0], tell=_tell
        )
        self._stamp("robustness")

    def contrast(self) -> None:
        """Stacks like the papers' other sets."""
        self.found["contrast"] = contrast(real_stack(self.data), self.methods[0])
        self._stamp("contrast")
        for name, row in self.found["contrast"].items():
            print(f"{name}: {row}", flush=True)

    def outlines(self) -> None:
        """A picture of ten slices at full resolution."""
        folder = self.pictures or self.folder
        folder.mkdir(exist_ok=True)
        print(pictures.outlines(self.data, folder / "full_resolution.jpg", self.methods[0]))


SECTIONS: dict[str, Callable[[Work], None]] = {
    name: getattr(Work, name)
    for name in ("real", "otsu", "phantoms", "ablation", "robustness", "contrast", "outlines")
}


def _tell(line: str) -> None:
    print(line, flush=True)


def _tell_real(method: str, real: dict[str, Any]) -> None:
    for part, classes in real["ranges"].items():
        for name, row in classes.items():
            print(
                f"{method:<11} {part:<7} {name:<11} JI {row['ji']:.4f}  AC {row['ac']:.4f}  "
                f"slices {row['ji_mean']:.4f} / {row['ji_median']:.4f} / {row['ji_sd']:.4f}  "
                f"Hausdorff {row['hausdorff_mean']} / {row['hausdorff_95']} nm"
            )
    print(f"{method:<11} {real['seconds']['all']:.0f} s on {real['workers']} workers", flush=True)


def parse() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="default: all")
    parser.add_argument("--quick", action="store_true", help="the real cell and Otsu only")
    parser.add_argument(
        "--method", choices=METHODS, action="append", help="default: those without a network"
    )
    parser.add_argument("--run", type=Path, action="append", help="score this run, run nothing")
    parser.add_argument("--folder", type=Path, help="stores and runs; default: a temporary one")
    parser.add_argument("--workers", type=int, help="of each run; default: as many as fit")
    parser.add_argument("--json", type=Path, default=results.DOCS / "accuracy.json")
    parser.add_argument("--write", action="store_true", help="the JSON, the page, its pictures")
    parser.add_argument("--page", action="store_true", help="only make the page from the JSON")
    return parser.parse_args()


def main() -> None:
    """Measure the sections asked for, print them, and with ``--write`` keep them."""
    options = parse()
    found = results.read(options.json)
    if not options.page:
        sections = options.sections or (["real", "otsu"] if options.quick else list(SECTIONS))
        with tempfile.TemporaryDirectory() as temporary:
            folder = options.folder or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            work = Work(
                data_folder(),
                folder,
                tuple(options.method or CLASSICAL),
                tuple(options.run or ()),
                found,
                results.DOCS / "accuracy" if options.write else None,
                options.workers,
            )
            for name in sections:
                SECTIONS[name](work)
                if options.write:
                    results.write(found, options.json)
    if options.write or options.page:
        (results.DOCS / "accuracy.md").write_text(page.render(found), encoding="utf-8")


if __name__ == "__main__":
    main()
