"""What a run found, as data, as JSON, and as a page to read.

Data flows one way::

    outcomes    what can become of a case, and what a whole run is worth
    facts       what a driver says of itself, in plain values
    model       a run: its cases, and the verdicts that follow from them
    red         a red case as text: what to do about it
    encoding    the run as report.json
    page        the run as report.md
    certificate the stable part of a run, as certificate.json
    matrix      a table of many certificates
    writing     the files of a run, in a folder
"""

from stoker_conformance.report.facts import DriverFacts
from stoker_conformance.report.model import CaseResult, Report
from stoker_conformance.report.outcomes import CaseOutcome, Result, conclude
from stoker_conformance.report.writing import write_report

__all__ = [
    "CaseOutcome",
    "CaseResult",
    "DriverFacts",
    "Report",
    "Result",
    "conclude",
    "write_report",
]
