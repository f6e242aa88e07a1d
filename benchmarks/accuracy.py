"""Every figure of docs/accuracy.md: ``python -m benchmarks.accuracy``, or ``make figures``.

Runs the methods with default parameters on the real cell with a published truth and on phantoms,
scores them, turns off one step at a time, damages the stacks, and writes a JSON from which the
page is made. ``python -m benchmarks.accuracy --quick --run RUN`` scores a run that is there.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import pages, pictures, results
from benchmarks.ablation import ablation
from benchmarks.contrast import contrast
from benchmarks.likeness import FIGURES, statistics
from benchmarks.poles import pole_scores, real_size
from benchmarks.robustness import robustness
from benchmarks.runs import otsu, phantom_run, real_run, score_real
from benchmarks.stacks import data_folder, phantom_stack, real_stack, restored_pixels, whole_stack
from benchmarks.variants import constants, variants
from hela_dask.methods.names import METHODS
from hela_dask.phantom import KINDS
from hela_dask.running.provenance import read_run

SEEDS = (0, 1)
CORES = os.cpu_count() or 1
POLE_METHODS = ("unet", "volumetric")
SHIPPED = tuple(name for name in METHODS if name != "hybrid")
"""Methods that need no network, or the one of the package."""


@dataclass
class Work:
    """The measured figures so far, as in accuracy.json.

    The first method is the one that is damaged and has its steps turned off. Pictures are drawn
    where there is a folder for them; `runs` are scored instead of new ones.
    """

    data: Path
    folder: Path
    methods: tuple[str, ...]
    found: dict[str, Any]
    pictures: Path | None = None
    runs: tuple[Path, ...] = ()
    workers: int | None = None

    def stamp(self, section: str, *parts: str) -> None:
        """Note when and by which code a section was measured, or some parts of it."""
        stamp = results.stamp(f"python -m benchmarks.accuracy {section} --write")
        if not parts:  # the section as a whole: parts that were measured alone are replaced
            for name in [
                at for at in self.found.get("measured", {}) if at.startswith(f"{section}/")
            ]:
                del self.found["measured"][name]
        for part in parts or ("",):
            self.found.setdefault("measured", {})[f"{section}/{part}".rstrip("/")] = stamp


def _real(work: Work) -> None:
    """Whole runs on the real cell; with pictures of the default method's."""
    runs = work.runs or tuple(
        real_run(work.data, work.folder, method, work.workers) for method in work.methods
    )
    by_method = {read_run(run)["method"]: run for run in runs}
    scored = {method: score_real(run, work.data) for method, run in by_method.items()}
    work.found["real"] = {**work.found.get("real", {}), **scored}
    work.stamp("real", *scored)
    for method, real in scored.items():
        print(pages.render("ranges", {"method": method, "real": real}), flush=True)
    if work.pictures is not None:
        if METHODS[0] in scored:
            for old in work.pictures.glob("*_[0-9][0-9][0-9].jpg"):
                old.unlink()
            work.found["worst"] = pictures.worst_pictures(
                by_method[METHODS[0]], work.data, scored[METHODS[0]], work.pictures
            )
        pictures.curves(work.found["real"], work.pictures)


def _phantoms(work: Work) -> None:
    """Phantoms of two seeds."""
    rows = work.found.setdefault("phantoms", {})
    for method in work.methods:
        for seed in SEEDS:
            row = phantom_run(work.folder, method, seed, work.workers)
            rows.setdefault(method, {})[str(seed)] = row
            work.stamp("phantoms", f"{method}/{seed}")
            print(f"phantom {seed}, {method}: {row}", flush=True)


def _likeness(work: Work) -> dict[str, Any]:
    """Statistics of the real cell and of a phantom of each kind; with a picture of the poles."""
    found = {"real": statistics(real_stack(work.data), restored_pixels(work.data))}
    for kind in KINDS:
        stack = real_size(kind, SEEDS[0])
        found[kind] = statistics(stack)
    if work.pictures is not None:
        pictures.poles(stack, work.pictures / "poles.jpg")
    for name, (title, digits) in FIGURES.items():
        values = "".join(f"{row[name]:>10.{digits}f}" for row in found.values())
        print(f"{title:<75}{values}", flush=True)
    return found


def _poles(work: Work) -> None:
    """Scores near the poles of the nucleus and at the ends of the cell."""
    rows = work.found.setdefault("poles", {})
    phantoms = [(kind, str(seed)) for kind in KINDS for seed in SEEDS]
    for kind, seed in [("real", ""), *phantoms]:
        stack = real_size(kind, int(seed)) if seed else real_stack(work.data)
        for method in (name for name in work.methods if name in POLE_METHODS):
            row = pole_scores(stack, method)
            rows.setdefault(kind, {}).setdefault(method, {})[seed] = row
            work.stamp("poles", f"{kind}/{method}/{seed}".rstrip("/"))
            print(f"{kind} {seed}, {method}: {row}", flush=True)


def _outlines(work: Work) -> None:
    """A picture of ten slices at full resolution."""
    path = (work.pictures or work.folder) / "full_resolution.jpg"
    print(pictures.outlines(work.data, path, work.methods[0]))


def _ablation(work: Work) -> dict[str, Any]:
    """Each step turned off, on the real cell and on a phantom's."""
    stacks = {"real": real_stack(work.data), "phantom": phantom_stack()}
    method = work.methods[0]
    return {name: ablation(stack, method=method, processes=CORES) for name, stack in stacks.items()}


def _whole(name: str, measure: Callable[[Work], Any]) -> Callable[[Work], None]:
    """A section that is measured as a whole."""

    def section(work: Work) -> None:
        work.found[name] = measure(work)
        work.stamp(name)
        work.found["measured"][name]["method"] = work.methods[0]

    return section


SECTIONS: dict[str, Callable[[Work], None]] = {
    "real": _real,
    "otsu": _whole("otsu", lambda work: otsu(work.data)),
    "phantoms": _phantoms,
    "likeness": _whole("likeness", _likeness),
    "poles": _poles,
    "ablation": _whole("ablation", _ablation),
    "robustness": _whole(
        "robustness",
        lambda work: robustness(real_stack(work.data), method=work.methods[0], processes=CORES),
    ),
    "contrast": _whole("contrast", lambda work: contrast(real_stack(work.data), work.methods[0])),
    "variants": _whole(
        "variants",
        lambda work: variants(whole_stack(work.data), method=work.methods[0], processes=CORES),
    ),
    "constants": _whole(
        "constants",
        lambda work: constants(whole_stack(work.data), method=work.methods[0], processes=CORES),
    ),
    "outlines": _outlines,
}


def main() -> None:
    """Measure the sections asked for, print them, and with ``--write`` keep them."""
    parser = results.parser(__doc__, write="the JSON, the page, its pictures")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="default: all")
    parser.add_argument("--quick", action="store_true", help="the real cell and Otsu only")
    parser.add_argument(
        "--method",
        choices=METHODS,
        action="append",
        help="default: all but hybrid",
    )
    parser.add_argument("--run", type=Path, action="append", help="score this run, run nothing")
    parser.add_argument("--folder", type=Path, help="stores and runs; default: a temporary one")
    parser.add_argument("--workers", type=int, help="of each run; default: as many as fit")
    parser.add_argument("--json", type=Path, default=results.DOCS / "accuracy.json")
    parser.add_argument("--page", action="store_true", help="only make the page from the JSON")
    options = parser.parse_args()
    found = results.read(options.json)
    if not options.page:
        sections = options.sections or (["real", "otsu"] if options.quick else list(SECTIONS))
        with tempfile.TemporaryDirectory() as temporary:
            work = Work(
                data_folder(),
                options.folder or Path(temporary),
                tuple(options.method or SHIPPED),
                found,
                results.DOCS / "accuracy" if options.write else None,
                tuple(options.run or ()),
                options.workers,
            )
            work.folder.mkdir(parents=True, exist_ok=True)
            for name in sections:
                SECTIONS[name](work)
                if options.write:
                    results.write(found, options.json)
    if options.write or options.page:
        pages.write("accuracy", {**pages.load_figures(), "accuracy": found})


if __name__ == "__main__":
    main()
