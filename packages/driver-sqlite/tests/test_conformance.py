"""The driver passes the conformance suite."""

from sqlite_harness import SqliteHarness

from stoker_conformance import Suite

conformance = Suite(SqliteHarness)
