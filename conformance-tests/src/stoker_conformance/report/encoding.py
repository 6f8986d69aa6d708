"""A run as `report.json`; `report.schema.json`, beside this file, describes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any, Final

from stoker_conformance.report.model import CaseResult, Report
from stoker_conformance.report.red import advice
from stoker_conformance.source import location

__all__ = ["SCHEMA_VERSION", "as_json", "encode", "schema"]

SCHEMA_VERSION: Final = 1
"""Counted up when a field is removed or changes its meaning; new fields may come without."""


def encode(report: Report) -> dict[str, Any]:
    """Return a run in the shape of `report.schema.json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "result": report.result,
        "level": report.level,
        "suite_version": report.suite_version,
        "protocol": report.protocol,
        "harness": report.harness,
        "driver": asdict(report.driver) if report.driver else None,
        "python": report.python,
        "platform": report.platform,
        "started": report.started.isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 3),
        "counts": dict(report.counts),
        "capabilities": [asdict(verdict) for verdict in report.capabilities],
        "cases": [_case(found) for found in report.cases],
        "clauses": [
            {
                "id": clause.id,
                "sentence": clause.sentence,
                "capability": clause.capability,
                "state": state,
                "cases": [found.id for found in report.cases if clause.id in found.case.clauses],
            }
            for clause, state in report.clauses
        ],
    }


def as_json(content: Mapping[str, Any]) -> str:
    """Return the text of a JSON file: two spaces, a line break at the end, no surprises."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def schema(name: str = "report") -> dict[str, Any]:
    """Return the JSON Schema of `report.json`, or that of a `certificate`."""
    text = files("stoker_conformance.report").joinpath(f"{name}.schema.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _case(found: CaseResult) -> dict[str, Any]:
    """Return what always belongs to a case, and of the rest what there is to say."""
    case = found.case
    more = {
        "message": found.message,
        "expected": found.expected,
        "seen": found.seen,
        "detail": found.detail,
        "deviation": {"reason": found.reason, "link": found.link} if found.reason else None,
        "fix": advice(found) if found.is_red else None,
        "location": location(case) if found.is_red else None,
    }
    return {
        "id": found.id,
        "title": case.title,
        "outcome": found.outcome,
        "clauses": list(case.clauses),
        "needs": list(case.needs),
        "scope": case.scope,
        "remarks": list(found.remarks),
        "seconds": round(found.seconds, 3),
        **{key: value for key, value in more.items() if value is not None},
    }
