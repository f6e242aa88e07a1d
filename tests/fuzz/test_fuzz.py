"""Twelve thousand hostile inputs: each ends in an error of ours or in a read, soon, in little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.mutations import mutate_binary, mutate_json, mutate_text
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import SECONDS

GROUPS = (
    ("zarr 0.5",),
    ("zarr 0.4", "YAML", "edits"),
    ("TIFF", "description of a TIFF", "MRC"),
    ("markers", "run folder", "card", "TOML", "CSV"),
    ("network",),
)


def test_every_reader_is_tried_and_there_are_enough_inputs() -> None:
    assert sorted(name for group in GROUPS for name in group) == sorted(TARGETS)
    assert sum(target.inputs for target in TARGETS.values()) >= 10_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_hostile_metadata_end_in_a_sentence_or_in_a_correct_read(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    if "network" in names:
        pytest.importorskip("onnx", reason="ONNX is not installed")
    # Files in memory: the readers are under test, not the disk.
    folder = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    folder = folder / f"fuzz-{os.getpid()}-{names[0].replace(' ', '')}"
    folder.mkdir()
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.worker", str(folder), "0", *names],
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
            cwd=Path(__file__).parents[2],
            # Its own pool reserves address space, which is what is limited.
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        )
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    for name, found in json.loads(ended.stdout).items():
        assert not found["wrong"], "\n".join(found["wrong"][:5])
        assert sum(found["outcomes"].values()) == TARGETS[name].inputs
        # Neither all refused nor all read: the inputs are near to valid ones.
        assert found["outcomes"]["read"] > 0.03 * TARGETS[name].inputs
        assert found["longest"] < SECONDS


def test_mutations_depend_on_their_seed_alone() -> None:
    document = {"a": [1, 2.5, "b"], "c": {"d": None}}
    mutations: tuple[Callable[[Random], bytes], ...] = (
        lambda random: mutate_json(random, document),
        lambda random: mutate_text(random, "a,b\n1,2\n"),
        lambda random: mutate_binary(random, bytes(range(200)), 100),
    )
    for mutate in mutations:
        once, again = ([mutate(Random(k)) for k in range(300)] for _ in range(2))
        assert once == again
        assert len(set(once)) > 150
    assert document == {"a": [1, 2.5, "b"], "c": {"d": None}}
