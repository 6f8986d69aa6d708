"""The committed certificates: what a run finds, whole, successful, and what the README says."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from stoker_conformance.catalog import CASES
from stoker_conformance.report.encoding import schema
from stoker_conformance.report.matrix import matrix

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
certify: Any = importlib.import_module("certify")
CERTIFICATES = {name: ROOT / f"certificates/{name}.json" for name in certify.TARGETS}


def read(name: str) -> dict[str, Any]:
    """The certificate of a driver."""
    content: dict[str, Any] = json.loads(CERTIFICATES[name].read_text())
    return content


@pytest.mark.parametrize("name", CERTIFICATES)
def test_every_driver_of_ours_has_a_certificate_of_success(name: str) -> None:
    content = read(name)
    jsonschema.validate(content, schema("certificate"))
    assert (content["result"], content["driver"]["name"]) == ("success", name)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_run_at_level_full_finds_what_the_certificate_says(name: str, tmp_path: Path) -> None:
    assert certify.outdated(CERTIFICATES[name], certify.certify(name, tmp_path)) == ""


def test_the_drivers_that_are_certified_are_all_there_are() -> None:
    # `make test` leaves the faster runs of these drivers out.
    folders = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("packages/driver-*/tests"))
    assert sorted(target.folder for target in certify.TARGETS.values()) == folders


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_has_every_case(name: str) -> None:
    assert list(read(name)["cases"]) == [case.id for case in CASES], "run `make certify`"


def test_the_certificate_of_the_example_has_every_case_too() -> None:
    content = json.loads((ROOT / "examples/stoker-lmdb/certificate.json").read_text())
    jsonschema.validate(content, schema("certificate"))
    assert (content["result"], content["level"]) == ("success", "full")
    assert list(content["cases"]) == [case.id for case in CASES], "see its README"


def test_the_readme_has_the_matrix_of_the_certificates() -> None:
    readme = (ROOT / "README.md").read_text()
    table = matrix([read(name) for name in CERTIFICATES])
    assert certify.with_matrix(readme, table) == readme, "run `make certify`"


def test_the_matrix_is_put_between_its_markers() -> None:
    readme = f"before\n{certify.BEGIN}\n| old |\n\n{certify.END}after\n"
    changed = certify.with_matrix(readme, "| new |\n")
    assert changed == f"before\n{certify.BEGIN}\n| new |\n\n{certify.END}after\n"
    assert certify.with_matrix(changed, "| new |\n") == changed


def test_a_readme_without_markers_is_an_error() -> None:
    with pytest.raises(certify.Problem, match="lacks the lines"):
        certify.with_matrix("nothing here", "| new |\n")


def test_what_is_out_of_date_is_shown_line_by_line() -> None:
    path = ROOT / "LICENSE"
    assert certify.outdated(path, path.read_text()) == ""
    difference = certify.outdated(path, path.read_text() + "more\n")
    assert "--- LICENSE (committed)" in difference
    assert "\n+more\n" in difference
