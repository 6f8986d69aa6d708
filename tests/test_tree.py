"""What may not be in the repository: lock files, download addresses, this machine's paths."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCK_FILES = {"uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "package-lock.json"}
# Put together here, so that this file does not hold what it forbids.
HOSTS = ["files.pythonhosted" + ".org", "pypi" + ".org", "registry.npmjs" + ".org"]
OPTIONS = ["index" + "-url", "find" + "-links", "trusted" + "-host", "index" + "_url"]
PATHS = ["/work" + "/", "/root" + "/", "/home" + "/", "/opt" + "/"]
FORBIDDEN = re.compile("|".join(re.escape(text) for text in [*HOSTS, *OPTIONS, *PATHS]))


def tracked() -> list[Path]:
    """The files that are, or would be, in a commit."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    return [path for path in files if path.is_file()]


def findings(name: str, text: str) -> list[str]:
    """Lines of a file that hold something forbidden."""
    return [
        f"{name}:{number}: {match[0]}"
        for number, line in enumerate(text.splitlines(), start=1)
        for match in FORBIDDEN.finditer(line)
    ]


def test_there_is_no_lock_file() -> None:
    assert not [path for path in tracked() if path.name in LOCK_FILES]


def test_no_file_names_a_registry_or_a_machine() -> None:
    found: list[str] = []
    for path in tracked():
        found += findings(str(path.relative_to(ROOT)), path.read_text(errors="replace"))
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("text", [*HOSTS, *OPTIONS, *PATHS])
def test_forbidden_text_is_found(text: str) -> None:
    assert findings("a.md", f"first\nsee {text}") == [f"a.md:2: {text}"]


def test_constraints_are_plain_pins() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][a-z0-9.]*", pin) for pin in pins)
