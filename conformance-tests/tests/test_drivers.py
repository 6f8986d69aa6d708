"""A driver over a network passes the suite; our own drivers are certified in the tests of all."""

from networked import NetworkedHarness

from stoker_conformance import Level, Suite

networked = Suite(NetworkedHarness, Level.FAST)
