"""The first-party drivers pass the whole suite, at its full level."""

from harnesses import MemoryHarness, SqliteHarness

from stoker_conformance import Level, Suite

memory = Suite(MemoryHarness, Level.FULL)
sqlite = Suite(SqliteHarness, Level.FULL)
