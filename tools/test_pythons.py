"""Run the tests of the packages on further interpreters, each in an environment of its own.

The interpreters are named by path in STOKER_TEST_PYTHONS, separated by colons or spaces. What is
about the repository, the suite's own proof or one more server, and not about Python, and what is
marked as slow, runs on the first interpreter only.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = [*sorted(ROOT.glob("packages/*")), ROOT / "conformance-tests"]
NOT_HERE = [
    "packages/core/tests/test_typing.py",  # type checkers are told a version
    "conformance-tests/tests/test_saboteurs.py",
    "packages/driver-postgres/tests/test_plans.py",
    "packages/driver-postgres/tests/test_saboteurs.py",
    "packages/driver-postgres/tests/test_variants.py",
    "packages/driver-redis/tests/test_saboteurs.py",
    "packages/driver-redis/tests/test_variants.py",
]
PINNED = ["--constraint=constraints.txt", "--build-constraint=constraints.txt"]


def run(*command: str | Path) -> None:
    """Run one command, without the servers that somebody named; its failure is ours."""
    named = re.compile("STOKER_TEST_.*_URL")
    env = {name: value for name, value in os.environ.items() if not named.fullmatch(name)}
    subprocess.run(command, cwd=ROOT, env=env, check=True, stdin=subprocess.DEVNULL)


def version(python: str) -> str:
    """Which Python this really is: a path may lead to a shim that leads nowhere."""
    code = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    command = [python, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_on(python: str, uv: str) -> None:
    """Build an environment for `python` (an existing one is brought up to date) and test in it."""
    name = version(python)
    print(f"--- the packages' tests on Python {name}", flush=True)
    environment = ROOT / ".venvs" / name
    executable = environment / "bin/python"
    if not executable.exists():
        run(uv, "venv", "--quiet", "--python", python, environment)
    packages = [f"--editable={folder}" for folder in FOLDERS]
    run(uv, "pip", "install", "--quiet", "--python", executable, *PINNED, "--group=test", *packages)
    tests = [folder / "tests" for folder in FOLDERS if (folder / "tests").is_dir()]
    ignored = [f"--ignore={path}" for path in NOT_HERE]
    pytest = executable.with_name("pytest")
    run(pytest, "--numprocesses=2", "--dist=worksteal", "-m", "not slow", *ignored, *tests)


def main() -> None:
    """Test on each interpreter that was named."""
    uv = sys.argv[1]
    pythons = [
        path for path in re.split(r"[:\s]+", os.environ.get("STOKER_TEST_PYTHONS", "")) if path
    ]
    if not pythons:
        print("STOKER_TEST_PYTHONS names no further interpreter: nothing to do")
    for python in pythons:
        test_on(python, uv)


if __name__ == "__main__":
    main()
