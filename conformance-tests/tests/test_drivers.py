"""The first-party drivers pass the whole suite."""

from harnesses import MemoryHarness, SqliteHarness

from stoker_conformance import Suite

memory = Suite(MemoryHarness)
sqlite = Suite(SqliteHarness)
