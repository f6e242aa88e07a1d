"""Files of a finished run that are deleted, cut, emptied or changed: found and made again."""

from __future__ import annotations

import re

import pytest

from hela_dask.errors import ClusterError
from tests.faults.catalogue import FILE_FAULTS, Fault
from tests.faults.site import Site

STAGES = ("background", "detect", "segment", "assemble", "measure")


@pytest.mark.parametrize("fault", FILE_FAULTS, ids=lambda fault: fault.name)
@pytest.mark.usefixtures("quick_report")
def test_the_same_command_mends_it(site: Site, fault: Fault) -> None:
    before = site.markers()
    fault.make(site)
    result = site.start()
    site.check()
    message = "\n".join(result.warnings)
    assert re.search(fault.message, message), message
    after = site.markers()
    again = {name.split("-")[0] for name, time in after.items() if before.get(name) != time}
    assert again & set(STAGES) == set(fault.again)
    done = site.markers()
    assert not site.start().warnings
    assert site.markers() == done  # and nothing is left to do


@pytest.mark.usefixtures("quick_report")
def test_what_a_user_has_edited_is_kept_beside_what_is_written(site: Site) -> None:
    for name in ("cells.csv", "run.toml"):
        path = site.run / name
        path.write_text(path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    warnings = "\n".join(site.start().warnings)
    site.check()
    for name in ("cells.edited.csv", "run.edited.toml"):
        assert (site.run / name).read_text(encoding="utf-8").endswith("# mine\n")
        assert f"it is kept as {name}" in warnings
    (site.run / "cells.csv").write_text("mine again", encoding="utf-8")
    site.start()
    assert (site.run / "cells.edited-2.csv").read_text(encoding="utf-8") == "mine again"


def test_without_a_cluster_nothing_is_forgotten(site: Site) -> None:
    before = site.markers()
    with pytest.raises(ClusterError):
        site.start(recompute=True, client=None, cluster="tcp://127.0.0.1:9", workers=None)
    assert {name for name in site.markers() if name.startswith("segment")} == {
        name for name in before if name.startswith("segment")
    }
