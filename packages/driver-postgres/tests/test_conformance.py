"""The driver passes the conformance suite, with every capability, on a real server."""

from postgres_harness import BundledServer

from stoker_conformance import Suite

newest = Suite(BundledServer)
