"""Show the version that all packages share, or set it everywhere at once.

    python tools/version.py             # prints it
    python tools/version.py 0.2.0       # in each pyproject.toml, with the ranges between packages

Files are edited as text, so that their comments and layout stay as they are.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.compile(r'^version = "(?P<version>[^"]+)"$', re.MULTILINE)
RANGE = re.compile(r'"(?P<name>stoker[a-z-]*)>=\d+\.\d+,<\d+\.\d+"')


def files(root: Path) -> list[Path]:
    """The pyproject.toml of each package."""
    return sorted(
        [
            *root.glob("packages/*/pyproject.toml"),
            *root.glob("examples/*/pyproject.toml"),
            root / "conformance-tests/pyproject.toml",
        ]
    )


def read(root: Path) -> str:
    """The one version of all packages."""
    versions = {
        match["version"] for path in files(root) for match in VERSION.finditer(path.read_text())
    }
    if len(versions) != 1:
        raise SystemExit(f"the packages are not in lockstep: {sorted(versions)}")
    return versions.pop()


def write(root: Path, version: str) -> None:
    """Set the version of all packages, and what they require of each other."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise SystemExit(f"not a version of the form 1.2.3: {version}")
    major, minor, _ = version.split(".")
    accepted = f">={major}.{minor},<{major}.{int(minor) + 1}"
    for path in files(root):
        text, count = VERSION.subn(f'version = "{version}"', path.read_text())
        if count != 1:
            raise SystemExit(f"{path}: {count} versions")
        path.write_text(RANGE.sub(rf'"\g<name>{accepted}"', text))


def main(root: Path, arguments: list[str]) -> None:
    """Show the version, or set it."""
    if arguments:
        write(root, arguments[0])
    print(read(root))


if __name__ == "__main__":
    main(ROOT, sys.argv[1:])
