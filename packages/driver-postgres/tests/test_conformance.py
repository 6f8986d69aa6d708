"""The driver passes the conformance suite, with every capability, on real servers."""

from __future__ import annotations

import os

from postgres_harness import SHARED, URL_OF_NAMED_SERVER, BundledServer, NamedServer

from stoker_conformance import Suite

newest = Suite(BundledServer)

if os.environ.get(URL_OF_NAMED_SERVER):
    named = Suite(NamedServer, without={"RST-01": SHARED, "RST-02": SHARED})
