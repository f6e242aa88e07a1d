"""The code part of a fingerprint changes with the arithmetic of its stage, nothing else."""

from __future__ import annotations

import functools
import gc
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import hela_dask
from hela_dask.methods.names import METHODS
from hela_dask.running.keys import CODE
from hela_dask.tasks.code import CodeReader, parse_source

PACKAGE = Path(hela_dask.__file__).parent
STAGES = {name: code.split() for name, code in CODE.items()}
_SEGMENT = STAGES.pop("segment")
STAGES |= {name: [*_SEGMENT, f"methods.{name}:METHOD"] for name in METHODS}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this package's source."""
    copy = tmp_path_factory.mktemp("code") / "hela_dask"
    shutil.copytree(PACKAGE, copy, ignore=lambda _, names: {n for n in names if n == "data"})
    return copy


@pytest.fixture
def package(copied: Path) -> Iterator[Path]:
    """The copy, put back afterwards."""
    yield copied
    for path in copied.rglob("*.py"):
        original = PACKAGE / path.relative_to(copied)
        if (
            original.stat().st_size != path.stat().st_size
            or original.read_bytes() != path.read_bytes()
        ):
            shutil.copyfile(original, path)


@functools.cache
def unchanged() -> dict[str, str]:
    return prints(PACKAGE)


def prints(package: Path) -> dict[str, str]:
    reader = CodeReader(package)
    return {name: reader.fingerprint(code) for name, code in STAGES.items()}


def change(package: Path, file: str, pattern: str, new: str) -> None:
    path = package / file
    text, count = re.subn(pattern, new, path.read_text(encoding="utf-8"), count=1, flags=re.M)
    assert count == 1, f"{pattern!r} is not in {file}"
    path.write_text(text, encoding="utf-8")


def test_each_stage_has_a_fingerprint_of_its_own() -> None:
    assert len(set(unchanged().values())) == len(STAGES)


def test_a_start_that_is_gone_is_an_error() -> None:
    with pytest.raises(LookupError, match="no nothing in"):
        CodeReader().fingerprint(["volume.greys:nothing"])


@pytest.mark.parametrize(
    ("file", "pattern", "new", "stages"),
    [
        (
            "kernels/conflicts.py",
            r"^def resolve_slice\(",
            "_NEW = 1\n\n\ndef resolve_slice(",
            set(),
        ),
        ("kernels/unclaimed.py", r"int\(parameters\.reach / step\)", "1", {"assemble", "contacts"}),
        ("kernels/detection.py", r"1e6 / ", "1e5 / ", {"detect"}),
        ("kernels/quality.py", r"parameters\.span / 2", "parameters.span / 3", set(METHODS)),
        ("kernels/charging.py", r"^_HIDDEN = .*$", "_HIDDEN = 0.123", {"background", "detect"}),
        ("kernels/edges.py", r"^(def nucleus_plane\()", r"@cache\n\1", {"hybrid"}),
        (
            "unet/inference.py",
            r"^(def predict_slices\()",
            r"@cache\n\1",
            {"classify", "hybrid", "predict"},
        ),
        (
            "unet/engine.py",
            r"use_deterministic_compute = True",
            "use_deterministic_compute = False",
            {"classify", "unet", "hybrid", "predict"},
        ),
        ("storage/pyramid.py", r"block\.dtype == target\.dtype and ", "", {"assemble", "predict"}),
        ("steps/assemble.py", r"sorted\(to\)", "sorted(to)[:1]", {"ceded"}),
    ],
    ids=lambda value: value if isinstance(value, str) and value.endswith(".py") else "",
)
def test_arithmetic_counts_where_it_is_used(
    package: Path, file: str, pattern: str, new: str, stages: set[str]
) -> None:
    before = unchanged()
    change(package, file, pattern, new)
    after = prints(package)
    assert {name for name in STAGES if before[name] != after[name]} == stages


def test_a_group_of_parameters_counts_by_its_code(package: Path) -> None:
    place = ["parameters.methods:HybridParameters"]
    before = CodeReader(package).fingerprint(place)
    change(package, "parameters/methods.py", r"circularity=0\.1", "circularity=0.2")
    assert CodeReader(package).fingerprint(place) != before


@pytest.mark.parametrize(
    ("file", "pattern", "new"),
    [
        ("kernels/conflicts.py", r'^"""', '"""Other words. '),
        ("kernels/unclaimed.py", r"^(def unclaimed_halo\()", r"# a comment\n\1"),
        ("kernels/background.py", r"^from hela", "import os\nfrom hela"),
        ("steps/segment.py", r"log\.warning\(", "log.info("),
        (
            "parameters/stages.py",
            r'"sigma of the Gaussian low-pass before the threshold of resin, nm"',
            '"words"',
        ),
        ("storage/shards.py", r"^_LEVEL = 1$", "_LEVEL = 3"),
        ("steps/regions.py", r"Region of cell ", "Cell "),
        ("methods/method.py", r'"status": self\.status,', '"state": self.status.upper(),'),
    ],
)
def test_words_count_nowhere(package: Path, file: str, pattern: str, new: str) -> None:
    change(package, file, pattern, new)
    assert prints(package) == unchanged()


def test_the_fingerprint_is_the_same_under_every_python(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(
        "from dataclasses import dataclass\n\nLIMIT: float = 1.5e-3\n\n\n"
        "@dataclass(frozen=True)\nclass Pair:\n    low: int = 1\n    high: int = 2\n\n\n"
        "def add(a: int, b: int = 2, *more: int) -> int:\n"
        '    """Sum."""\n    if a > LIMIT:\n        raise ValueError(f\'{a!r:>4} is too much\')\n'
        "    text = f'{b:03d}' 'x'\n    return a + Pair(low=b).low + len(text) + sum(more)\n",
        encoding="utf-8",
    )
    assert CodeReader(tmp_path).fingerprint(["sums:add"]) == "d5fb6be1d0ad042718327613184fcf5f"


@pytest.mark.parametrize(("base", "counts"), [("Shown", False), ("Other", True)])
def test_methods_that_show_a_result_count_only_elsewhere(
    tmp_path: Path, base: str, counts: bool
) -> None:
    found = set()
    for value in (1, 2):
        (tmp_path / "pairs.py").write_text(
            f"class Pair({base}):\n    def plot(self):\n        return {value}\n\n\n"
            "def make():\n    return Pair()\n",
            encoding="utf-8",
        )
        found.add(CodeReader(tmp_path).fingerprint(["pairs:make"]))
    assert (len(found) == 2) == counts


class Slow:
    """Garbage that lets other threads run while it is collected."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        time.sleep(0.0001)


def test_threads_that_read_sources_at_a_time_do_not_disturb_each_other() -> None:
    # Without a second try, about one file in a hundred is refused under Python 3.11.
    sources = [path.read_bytes() for path in sorted((PACKAGE / "kernels").glob("*.py"))[:40]]
    faults: list[BaseException] = []

    def read() -> None:
        try:
            for source in sources:
                Slow()
                parse_source(source)
        except SystemError as error:
            faults.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    before = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*before)
    assert not faults
