"""The conformance suite that every Stoker driver passes.

An author writes one class, a `Harness`, and runs

    pytest --pyargs stoker_conformance --harness my_driver.conformance:MyHarness

or puts the cases among the tests of the driver:

    from stoker_conformance import Suite
    from my_driver.conformance import MyHarness

    conformance = Suite(MyHarness)

Each case has a permanent id, names the clauses of the contract that it checks, and says what to
look at when it is red.
"""

from stoker_conformance.bench import Bench, Level
from stoker_conformance.case import Case, case
from stoker_conformance.clauses import CLAUSES, Clause
from stoker_conformance.expect import Inconclusive, Violation
from stoker_conformance.harness import Deviation, Harness, NotOffered, UserConnection
from stoker_conformance.runner import NotRequired, run_case
from stoker_conformance.suite import Suite

__all__ = [
    "CLAUSES",
    "Bench",
    "Case",
    "Clause",
    "Deviation",
    "Harness",
    "Inconclusive",
    "Level",
    "NotOffered",
    "NotRequired",
    "Suite",
    "UserConnection",
    "Violation",
    "case",
    "run_case",
]
