"""Resolve the newest versions of everything and write them to constraints.txt.

uv's own lock file would carry the download addresses of the machine that wrote it. This file has
names and versions only, for all platforms and Python versions that we support.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "constraints.txt"
HEADER = """\
# The versions that everything here is tested with. Written by `make pins`; not meant for users of
# the packages, whose ranges stand in each pyproject.toml.
"""


def members() -> list[Path]:
    """The pyproject.toml of each package in the workspace."""
    return [
        *sorted(ROOT.glob("packages/*/pyproject.toml")),
        ROOT / "conformance-tests/pyproject.toml",
    ]


def resolve(uv: str) -> list[str]:
    """Ask uv for one set of versions that suits all packages, all extras and the tools."""
    names = [tomllib.loads(path.read_text())["project"]["name"] for path in members()]
    command = [uv, "pip", "compile", "--quiet", "--universal", "--upgrade", "--python-version=3.11"]
    command += ["--no-header", "--no-annotate", "--all-extras", "--group=dev", "--group=bench", "-"]
    command += [f"--no-emit-package={name}" for name in names]
    command += [str(path) for path in members()]
    # The bootstrap's uv is pinned as well, though no package asks for it.
    done = subprocess.run(
        command, cwd=ROOT, input="uv\n", check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.splitlines()


def plain(line: str) -> str:
    """Drop what follows the version: a pin may hold where the package is not needed."""
    return line.partition(";")[0].strip()


def main() -> None:
    """Write the file."""
    uv = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("UV", "uv")
    pins = sorted({plain(line) for line in resolve(uv) if "==" in line})
    TARGET.write_text(HEADER + "\n".join(pins) + "\n")
    print(f"{TARGET.name}: {len(pins)} pins")


if __name__ == "__main__":
    main()
