"""The cases of the conformance suite, and the way from a URL to the driver."""

from pathlib import Path

import pytest

from stoker.errors import InvalidInput
from stoker.registry import driver_for
from stoker_conformance import Suite
from stoker_lmdb import LmdbDriver
from stoker_lmdb.conformance import LmdbHarness

conformance = Suite(LmdbHarness)


def test_its_url_leads_to_the_driver() -> None:
    assert isinstance(driver_for("lmdb:///jobs"), LmdbDriver)
    assert LmdbDriver.from_url("lmdb:////var/my%20jobs")._path == Path("/var/my jobs")


@pytest.mark.parametrize("url", ["lmdb://", "lmdb:///", "lmdb://host/jobs", "lmdb:///jobs?size=3"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        LmdbDriver.from_url(url)
