"""Histories: record what concurrent clients did, and check it against the contract afterwards.

`Recorder.client` wraps any driver, `verify` judges what was recorded. The invariants are in
`INVARIANTS`, as data.
"""

from stoker_conformance.history.checker import INVARIANTS, Invariant, broken, verify
from stoker_conformance.history.coverage import Coverage, coverage_of
from stoker_conformance.history.events import Operation, dump, load
from stoker_conformance.history.facts import History
from stoker_conformance.history.finding import Finding
from stoker_conformance.history.recorder import Recorder

__all__ = [
    "INVARIANTS",
    "Coverage",
    "Finding",
    "History",
    "Invariant",
    "Operation",
    "Recorder",
    "broken",
    "coverage_of",
    "dump",
    "load",
    "verify",
]
