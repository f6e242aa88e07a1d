"""Every figure of README and docs, measured again: ``make figures``.

The parts are measured one after another (hours; ``--list`` says how long each takes), each kept in
docs/*.json with its command, day and commit; then the pages are made anew. Names choose parts
(``make figures ARGS="first_steps accuracy"``). ``--pages`` measures nothing. ``--quick`` measures
the headline of the README, prints it beside what is kept, and changes nothing (minutes).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import faults, methods_page, page, performance, quoted, results, storage
from benchmarks.runs import CLASSES, otsu, real_run, score_real
from benchmarks.stacks import data_folder

__all__ = ["PARTS", "Part", "pages", "quick", "write_pages"]

ROOT = results.DOCS.parent
METHODS = ("--method", "volumetric", "--method", "propagate", "--method", "unet")
FULL = ("--shape", "518", "8192", "8192", "--cells", "30", "--diameter", "17")
VOXEL = ("--voxel-size", "50", "10", "10")
TOLERANCE = 0.001  # of a JI: other versions of numpy or scipy round differently


@dataclass(frozen=True)
class Part:
    """Benchmarks that belong together.

    Parameters
    ----------
    minutes : int
        What they take on two cores.
    commands : tuple of tuple of str
        Arguments of ``python -m``; ``{}`` is a folder for stores and runs.
    """

    minutes: int
    commands: tuple[tuple[str, ...], ...]


PARTS: dict[str, Part] = {
    "first_steps": Part(6, (("benchmarks.first_steps", "--write"),)),
    "accuracy": Part(
        130,
        (
            ("benchmarks.accuracy", "real", "phantoms", *METHODS, "--folder", "{}", "--write"),
            ("benchmarks.accuracy", "otsu", "ablation", "robustness", "contrast", "--write"),
            ("benchmarks.accuracy", "outlines", "--write"),
        ),
    ),
    "methods": Part(8, (("benchmarks.methods", "--write"),)),
    "kernels": Part(5, (("benchmarks.kernels", "--write"),)),
    "real": Part(
        5,
        (
            ("benchmarks.stores", "real", "{}/real.ome.zarr"),
            ("hela_dask", "run", "{}/real.ome.zarr", "--workers", "2"),
            ("benchmarks.throughput", "{}/real.run", "--name", "real", "--write"),
            ("benchmarks.scheduler", "--run", "{}/real.run", "--write"),
        ),
    ),
    "region": Part(
        6,
        (
            ("benchmarks.stores", "fine", "{}/fine.ome.zarr"),
            ("hela_dask", "run", "{}/fine.ome.zarr", "--workers", "2", "--memory", "4GiB"),
            ("benchmarks.throughput", "{}/fine.run", "--name", "region", "--write"),
        ),
    ),
    "full": Part(
        50,
        (
            ("hela_dask", "phantom", "{}/full.ome.zarr", *FULL, *VOXEL),
            (
                *("hela_dask", "run", "{}/full.ome.zarr", "--workers", "2", "--memory", "4GiB"),
                *("--truth", "{}/full.ome.zarr"),
            ),
            ("benchmarks.throughput", "{}/full.run", "--name", "full", "--write"),
        ),
    ),
    "scaling": Part(75, (("benchmarks.scaling", "--folder", "{}", "--write"),)),
    "reliability": Part(110, (("benchmarks.faults", "--repeat", "20"),)),
    "storage": Part(
        10,
        (
            (
                *("benchmarks.storage", "--size", "8192", "--slices", "32", "--rounds", "3"),
                "--write",
            ),
        ),
    ),
}


def pages() -> dict[Path, str]:
    """Every page with figures, as the JSON files have them now; nothing is written."""
    docs, found = results.DOCS, quoted.kept()
    texts = {
        docs / "accuracy.md": page.render(found["accuracy"]),
        docs / "methods.md": methods_page.render(
            found["methods"]["methods"], found["accuracy"].get("phantoms")
        ),
        docs / "storage.md": storage.render(
            found["storage"], storage.PAGE.read_text(encoding="utf-8")
        ),
    }
    texts[faults.PAGE] = faults.render(found["reliability"]["faults"])
    for quote in quoted.quotes():
        path = ROOT / quote.page
        text = texts.get(path) or path.read_text(encoding="utf-8")
        texts[path] = quoted.put(quote, text, found)
    texts[docs / "performance.md"] = performance.render(found["performance"])
    return texts


def write_pages() -> None:
    """Write every page that differs from the JSON files."""
    for _ in range(2):  # performance.md is made of sentences that quote figures themselves
        for path, text in pages().items():
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
                print(f"{path.relative_to(ROOT)} written", flush=True)


def quick(folder: Path) -> list[str]:
    """Measure the headline of the README again; the lines in which it differs from what is kept."""
    kept, data = quoted.kept()["accuracy"], data_folder()
    run = real_run(data, folder, "volumetric")
    now = score_real(run, data)["ranges"]["1-180"]
    before = kept["real"]["volumetric"]["ranges"]["1-180"]
    rows = {name: (now[name]["ji"], before[name]["ji"]) for name in CLASSES}
    rows["Otsu"] = (otsu(data)["1-180"]["ji"], kept["otsu"]["1-180"]["ji"])
    wrong = []
    for name, (measured, known) in rows.items():
        print(f"{name:<12} JI {measured:.4f}, kept {known:.4f}", flush=True)
        if abs(measured - known) > TOLERANCE:
            wrong.append(f"{name}: JI is {measured:.4f}, docs/accuracy.json has {known:.4f}")
    return wrong


def measure(names: Sequence[str], folder: Path) -> None:
    """Run the commands of some parts; the first that fails ends it."""
    for name in names:
        for module, *arguments in PARTS[name].commands:
            words = [word.replace("{}", str(folder)) for word in arguments]
            print(f"{name}: python -m {' '.join([module, *words])}", flush=True)
            subprocess.run([sys.executable, "-m", module, *words], cwd=ROOT, check=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--folder", type=Path, help="stores and runs; default: a temporary one")
    parser.add_argument("--quick", action="store_true", help="check the README's headline")
    parser.add_argument("--pages", action="store_true", help="only make the pages from the JSON")
    parser.add_argument("--list", action="store_true", help="print the parts and their minutes")
    return parser.parse_args()


def main() -> None:
    """Measure and write the pages, or what the options say."""
    options = parse()
    names = options.parts or list(PARTS)
    if options.list:
        for name in names:
            print(f"{name:<12}{PARTS[name].minutes:>4} min")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if options.quick:
            sys.exit("\n".join(quick(folder)) or 0)
        if not options.pages:
            measure(names, folder)
    write_pages()


if __name__ == "__main__":
    main()
