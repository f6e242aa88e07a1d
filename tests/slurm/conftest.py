"""A SLURM of one node, and an undisturbed run without it, for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from tests.faults.site import Site, undisturbed_site
from tests.slurm.node import NodeError, SlurmNode, missing_programs

NEEDED = "HELA_DASK_NEEDS_SLURM"
"""The variable of the environment that makes a missing SLURM a failure, as in the workflow."""


def without_slurm(reason: str) -> NoReturn:
    """Skip the test; fail it where the environment needs SLURM."""
    if os.environ.get(NEEDED):
        pytest.fail(f"{reason}; {NEEDED} is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def node() -> Iterator[SlurmNode]:
    """The node; its commands are those of this process and of all that it starts."""
    if missing := missing_programs():
        without_slurm(
            f"SLURM is not installed: {', '.join(missing)} not found (Debian, Ubuntu: apt install "
            "munge slurmctld slurmd slurm-client)"
        )
    started, before = SlurmNode(), os.environ.get("SLURM_CONF")
    try:
        started.start()
        os.environ["SLURM_CONF"] = str(started.conf)
        yield started
    except NodeError as error:
        without_slurm(f"SLURM does not start here: {error}")
    finally:
        started.stop()
        os.environ.pop("SLURM_CONF", None)
        if before is not None:
            os.environ["SLURM_CONF"] = before


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site, with the labels and the table of a local run."""
    with undisturbed_site(tmp_path_factory.mktemp("slurm")) as found:
        yield found


@pytest.fixture
def site(undisturbed: Site) -> Site:
    """The site before its first run."""
    undisturbed.restore()
    undisturbed.forget_run()
    return undisturbed
