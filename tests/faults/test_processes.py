"""Processes that end under a run: the same command again, and nothing differs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.faults.site import Site

if sys.platform == "win32":
    pytest.skip("signals are POSIX's", allow_module_level=True)

from tests.faults.processes import PROCESS_FAULTS, ProcessFault


@pytest.mark.waiting
@pytest.mark.slow
@pytest.mark.parametrize("fault", PROCESS_FAULTS, ids=lambda fault: fault.name)
@pytest.mark.usefixtures("quick_report")
def test_the_run_is_finished_all_the_same(site: Site, tmp_path: Path, fault: ProcessFault) -> None:
    site.forget_run()
    fault.make(site, tmp_path)
    site.check()
    done = site.markers()
    site.start()
    assert site.markers() == done, "nothing is left to do"
