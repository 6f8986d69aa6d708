"""The driver passes the conformance suite behind a pooler too, and on a server that is named."""

from __future__ import annotations

import os

import pytest
from postgres_harness import (
    SHARED,
    URL_OF_NAMED_SERVER,
    NamedServer,
    PooledServer,
)
from tools.servers.pgbouncer import MISSING, find_pgbouncer

from stoker_conformance import Suite

if os.environ.get(URL_OF_NAMED_SERVER):
    named = Suite(NamedServer, without={"RST-01": SHARED, "RST-02": SHARED})

if find_pgbouncer() is not None:
    pooled = Suite(PooledServer)


def test_there_is_a_pooler_to_run_the_suite_behind() -> None:
    if find_pgbouncer() is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(MISSING)
