"""Tests of SLURM are skipped where there is none, and fail where the environment needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.slurm.conftest import NEEDED, without_slurm


def test_without_slurm_a_test_is_skipped_unless_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(NEEDED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="sbatch not found"):
        without_slurm("sbatch not found")
    monkeypatch.setenv(NEEDED, "1")
    with pytest.raises(pytest.fail.Exception, match="sbatch not found"):
        without_slurm("sbatch not found")


def test_the_workflow_that_installs_slurm_needs_it() -> None:
    path = Path(__file__).parents[2] / ".github/workflows/tests.yml"
    workflow: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    steps = workflow["jobs"]["locked"]["steps"]
    assert any("slurmctld slurmd" in step.get("run", "") for step in steps)
    (command,) = [step["run"] for step in steps if "make test" in step.get("run", "")]
    before, _, _ = command.partition(" make test")
    assert f"{NEEDED}=1" in before.split()
