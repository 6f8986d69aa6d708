"""The driver passes the conformance suite."""

from memory_harness import MemoryHarness

from stoker_conformance import Suite

conformance = Suite(MemoryHarness)
