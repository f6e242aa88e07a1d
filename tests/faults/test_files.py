"""Files of a finished run that are deleted, cut, emptied or changed: found and made again."""

from __future__ import annotations

import re

import pytest

from tests.faults.catalogue import FILE_FAULTS, Fault
from tests.faults.site import Site

STAGES = ("background", "detect", "segment", "assemble")


@pytest.mark.parametrize("fault", FILE_FAULTS, ids=lambda fault: fault.name)
@pytest.mark.usefixtures("quick_report")
def test_the_same_command_mends_it(site: Site, fault: Fault) -> None:
    before = site.markers()
    fault.make(site)
    result = site.start()
    site.check()
    said = "\n".join(result.warnings)
    assert re.search(fault.said, said), said
    after = site.markers()
    again = {name.split("-")[0] for name, time in after.items() if before.get(name) != time}
    assert again & set(STAGES) == set(fault.again)
    done = site.markers()
    assert not site.start().warnings
    assert site.markers() == done  # and nothing is left to do
