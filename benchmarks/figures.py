"""Every figure of README and docs, measured again: ``make figures``.

The parts of ``figures.toml`` are measured one after another (hours; ``--list`` prints how long each
takes), each kept in docs/*.json with its command, day and commit; then the pages are written again.
Names choose parts (``make figures ARGS="first_steps accuracy"``). ``--pages`` measures nothing.
``--quick`` measures the headline of the README, prints it beside the figure that is kept, and
changes nothing (minutes).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages, results
from benchmarks.measuring import ROOT
from benchmarks.runs import otsu, real_run, score_real
from benchmarks.stacks import data_folder
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.running.scoring import CLASSES

__all__ = ["PARTS"]

PARTS: dict[str, Any] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
TOLERANCE = 0.001  # of a JI: other versions of numpy or scipy round differently


def quick(folder: Path) -> list[str]:
    """Measure the headline of the README again; a line for each figure that differs."""
    kept, data = results.read(results.DOCS / "accuracy.json"), data_folder()
    now = score_real(real_run(data, folder, DEFAULT_METHOD), data)["ranges"]["1-180"]
    before = kept["real"][DEFAULT_METHOD]["ranges"]["1-180"]
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
        for command in PARTS[name]["commands"]:
            words = [word.replace("{}", str(folder)) for word in command.split()]
            print(f"{name}: python -m {' '.join(words)}", flush=True)
            subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True)


def main() -> None:
    """Measure and write the pages, or do as the options ask."""
    parser = results.parser(__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--folder", type=Path, help="stores and runs; default: a temporary one")
    parser.add_argument("--quick", action="store_true", help="check the README's headline")
    parser.add_argument("--pages", action="store_true", help="only write the pages from the JSON")
    parser.add_argument("--list", action="store_true", help="print the parts and their minutes")
    options = parser.parse_args()
    names = options.parts or list(PARTS)
    if options.list:
        for name in names:
            print(f"{name:<12}{PARTS[name]['minutes']:>4} min")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if options.quick:
            sys.exit("\n".join(quick(folder)) or 0)
        if not options.pages:
            measure(names, folder)
    pages.write_pages()


if __name__ == "__main__":
    main()
