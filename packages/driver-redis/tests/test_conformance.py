"""The driver passes the conformance suite on a real server."""

from redis_harness import BundledServer

from stoker_conformance import Suite

newest = Suite(BundledServer)
