"""A small driver with a real network in it: a server in a process of its own, and its clients.

It is there for the suite's own tests, as the strict driver of the cases that need a network. The
store behind the server is the driver on SQLite, or the one in memory.
"""

from networked.client import NetworkedDriver, NetworkedMemoryDriver
from networked.harness import NetworkedHarness

__all__ = ["NetworkedDriver", "NetworkedHarness", "NetworkedMemoryDriver"]
