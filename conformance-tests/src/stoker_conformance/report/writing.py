"""The files of a run, in a folder."""

from __future__ import annotations

from pathlib import Path

from stoker_conformance.report.certificate import certificate, certifies
from stoker_conformance.report.encoding import as_json, encode
from stoker_conformance.report.model import Report
from stoker_conformance.report.page import page

__all__ = ["write_report"]

CERTIFICATE = "certificate.json"


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write `report.json`, `report.md` and, from level full on, `certificate.json`.

    The folder is created; older files of these names are replaced, and a certificate that this
    run does not renew is removed, so that what lies there is of one run. Returns what was written.
    """
    texts = {"report.json": as_json(encode(report)), "report.md": page(report)}
    if certifies(report):
        texts[CERTIFICATE] = as_json(certificate(report))
    folder.mkdir(parents=True, exist_ok=True)
    if CERTIFICATE not in texts:
        (folder / CERTIFICATE).unlink(missing_ok=True)
    written = []
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
