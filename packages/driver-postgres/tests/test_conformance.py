"""The driver passes the conformance suite, with every capability, on real servers."""

from __future__ import annotations

import os

from postgres_harness import URL_OF_NAMED_SERVER, BundledServer, NamedServer

from stoker_conformance import Suite

newest = Suite(BundledServer)

if URL_OF_NAMED_SERVER in os.environ:
    named = Suite(NamedServer)
