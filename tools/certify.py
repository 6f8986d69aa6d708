"""Run the conformance suite on our own drivers, and write down what it finds.

    python tools/certify.py              certificates/<driver>.json, and the table in README.md
    python tools/certify.py sqlite       the same, of one driver
    python tools/certify.py --check      write nothing; fail if they are not what a run finds

Everything written is the same whenever and wherever it is repeated.
"""

import argparse
import difflib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CERTIFICATES = ROOT / "certificates"
README = ROOT / "README.md"
BEGIN = "<!-- drivers: written by `make certify` -->\n"
END = "<!-- end of drivers -->\n"
SUITE = [sys.executable, "-m", "stoker_conformance"]


@dataclass(frozen=True)
class Target:
    """A driver of ours: where its harness is."""

    folder: str
    harness: str


TARGETS = {
    "memory": Target("packages/driver-memory/tests", "memory_harness:MemoryHarness"),
    "sqlite": Target("packages/driver-sqlite/tests", "sqlite_harness:SqliteHarness"),
    "postgres": Target("packages/driver-postgres/tests", "postgres_harness:BundledServer"),
    "redis": Target("packages/driver-redis/tests", "redis_harness:BundledServer"),
}


class Problem(Exception):
    """A run that did not come to an end, or a README without its markers."""


def certify(name: str, out: Path) -> str:
    """Run the suite on one driver; return its certificate, whatever the result."""
    target = TARGETS[name]
    command = [*SUITE, "run", target.harness, "--level", "full", "--out", str(out)]
    done = subprocess.run(
        command,
        cwd=ROOT / target.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},  # for `tools.servers`
        capture_output=True,
        text=True,
        check=False,
    )
    certificate = out / "certificate.json"
    if not certificate.exists():
        raise Problem(f"{name}: no certificate\n{done.stdout}{done.stderr}")
    if done.returncode != 0:
        print(done.stdout)
    print(f"{name}: {done.stdout.strip().splitlines()[-2]}", flush=True)
    return certificate.read_text()


def matrix(paths: list[Path]) -> str:
    """Return the table of some certificates."""
    command = [*SUITE, "matrix", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def with_matrix(readme: str, table: str) -> str:
    """Return the README with another table between its markers."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise Problem(f"README.md lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def outdated(path: Path, wanted: str) -> str:
    """Return how a file differs from what it should be; nothing if it does not."""
    name = str(path.relative_to(ROOT))
    found = path.read_text() if path.exists() else ""
    lines = difflib.unified_diff(
        found.splitlines(True), wanted.splitlines(True), f"{name} (committed)", f"{name} (found)"
    )
    return "".join(lines)


def work(names: list[str], check: bool) -> int:
    """Certify these drivers; return the exit code."""
    wanted: dict[Path, str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in names:
            text = certify(name, folder / name)
            wanted[CERTIFICATES / f"{name}.json"] = text
        paths = []
        for name in TARGETS:
            path = folder / name / "certificate.json"
            paths += [path if path.exists() else CERTIFICATES / f"{name}.json"]
        table = matrix([path for path in paths if path.exists()])
    wanted[README] = with_matrix(README.read_text(), table)
    if not check:
        CERTIFICATES.mkdir(exist_ok=True)
        for path, text in wanted.items():
            path.write_text(text)
        return 0
    differences = "".join(outdated(path, text) for path, text in wanted.items())
    print(differences or "certificates and README are what a run finds")
    return int(bool(differences))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Certify the drivers of this repository.")
    parser.add_argument("names", nargs="*", metavar="DRIVER", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    options = parser.parse_args()
    unknown = set(options.names) - set(TARGETS)
    if unknown:
        parser.error(f"no such driver: {', '.join(sorted(unknown))}")
    try:
        raise SystemExit(work(options.names or list(TARGETS), options.check))
    except Problem as problem:
        raise SystemExit(str(problem)) from None


if __name__ == "__main__":
    main()
