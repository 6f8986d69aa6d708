"""The first-party drivers pass the whole suite, at its full level; so does one over a network."""

from harnesses import MemoryHarness, SqliteHarness
from networked import NetworkedHarness

from stoker_conformance import Level, Suite

memory = Suite(MemoryHarness, Level.FULL)
sqlite = Suite(SqliteHarness, Level.FULL)
networked = Suite(NetworkedHarness, Level.FAST)
