"""Certificates as a table of Markdown: which driver does what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stoker.driver import Capability
from stoker_conformance.report.outcomes import CaseOutcome, Result

__all__ = ["matrix"]


def matrix(certificates: Sequence[dict[str, Any]]) -> str:
    """Return certificates as a Markdown table: a column a driver, a row a property."""
    drivers = [content["driver"] for content in certificates]
    rows = [
        ["", *(driver["name"] for driver in drivers)],
        ["---", *("---" for _ in drivers)],
        ["conformance", *map(_verdict, certificates)],
        ["cases passed", *map(_passed, certificates)],
        *(
            [str(power), *(_has(content, str(power)) for content in certificates)]
            for power in Capability
        ),
        *([name, *(driver[name] for driver in drivers)] for name in ("scope", "durability")),
        ["clock of", *("the server" if d["clock"] == "server" else "the process" for d in drivers)],
        ["driver version", *(driver["version"] for driver in drivers)],
        ["suite, contract", *map(_versions, certificates)],
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _verdict(content: dict[str, Any]) -> str:
    result, level = content["result"], content["level"]
    return f"**{result}** ({level})" if result == Result.SUCCESS else f"{result} ({level})"


def _passed(content: dict[str, Any]) -> str:
    outcomes = list(content["cases"].values())
    required = len(outcomes) - outcomes.count(CaseOutcome.NOT_REQUIRED)
    return f"{outcomes.count(CaseOutcome.PASSED)} of {required}"


def _has(content: dict[str, Any], power: str) -> str:
    """Whether a driver has a capability: one that is declared and not proven is no plain yes."""
    result = content["capabilities"].get(power)
    return {None: "no", Result.SUCCESS: "yes"}.get(result, f"declared, {result}")


def _versions(content: dict[str, Any]) -> str:
    return f"{content['suite_version']}, {content['protocol']}"
