"""A certificate: the part of a run that is the same whenever and wherever it is repeated."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from stoker_conformance.bench import Level
from stoker_conformance.report.encoding import SCHEMA_VERSION
from stoker_conformance.report.model import Report
from stoker_conformance.report.outcomes import CaseOutcome

__all__ = ["NotACertificate", "certificate", "certifies", "read_certificate"]

_KIND: Final = "stoker-conformance certificate"


class NotACertificate(ValueError):
    """A file is no certificate, or one of a version that this suite does not know."""


def certifies(report: Report) -> bool:
    """Whether a run tried hard enough for a certificate: at level full or beyond."""
    return report.driver is not None and report.level in (Level.FULL, Level.SOAK)


def certificate(report: Report) -> dict[str, Any]:
    """Return the certificate of a run: no time, no machine, and every case with its outcome."""
    return {
        "kind": _KIND,
        "schema_version": SCHEMA_VERSION,
        "result": report.result,
        "level": report.level,
        "suite_version": report.suite_version,
        "protocol": report.protocol,
        "driver": asdict(report.driver) if report.driver else None,
        "counts": dict(report.counts),
        "capabilities": {
            verdict.name: verdict.result for verdict in report.capabilities if verdict.declared
        },
        "cases": {found.id: found.outcome for found in report.cases},
        "remarks": {found.id: list(found.remarks) for found in report.cases if found.remarks},
        "deviations": {
            found.id: {"reason": found.reason, "link": found.link}
            for found in report.with_outcome(CaseOutcome.DEVIATION)
        },
    }


def read_certificate(path: Path) -> dict[str, Any]:
    """Return the certificate in a file.

    Raises:
        NotACertificate: it holds something else; the message says what to do.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise NotACertificate(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise NotACertificate(
            f"{path} is not a certificate: a run at level full writes certificate.json "
            "into the folder that --out names"
        )
    if content["schema_version"] != SCHEMA_VERSION:
        raise NotACertificate(
            f"{path} has schema_version {content['schema_version']}, and this suite knows "
            f"{SCHEMA_VERSION}: certify the driver again, or use the suite that wrote it"
        )
    return content
