"""The code in our documents runs, and prints what they say (see tools/run_docs.py)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLACES = [
    "README.md",
    "packages/*/README.md",
    "examples/*/README.md",
    "[a-z]*/README.md",
    "docs/**/*.md",
]
DOCUMENTS = sorted(path for place in PLACES for path in ROOT.glob(place))


def run_docs(path: Path) -> subprocess.CompletedProcess[str]:
    """Run one document."""
    command = [sys.executable, str(ROOT / "tools/run_docs.py"), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.timeout(310)
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_runs(path: Path) -> None:
    done = run_docs(path)
    assert done.returncode == 0, done.stdout + done.stderr


FINE = {
    "prose only": "# Title",
    "output": "<!-- run: a.py -->\n```python\nprint(1)\n```\n\nprints\n\n```text\n1\n```",
    "any output": "<!-- run: a.py -->\n```python\nprint(*'abc')\n```\n```text\na ... c\n```",
    "a file for later": (
        "<!-- file: b.py -->\n\n```python\nX = 3\n```\n"
        "<!-- run: a.py -->\n```python\nimport b\nprint(b.X)\n```\n```text\n3\n```"
    ),
    "shell": "<!-- shell -->\n```sh\necho hello\n```\n```text\nhello\n```",
    "console": "<!-- shell -->\n```console\n$ echo hello\nhello\n$ echo you\nyou\n```",
    "left running": "<!-- shell -->\n```sh\nsleep 100 &\necho on\n```\n```text\non\n```",
    "excerpt": "<!-- excerpt: tools/run_docs.py -->\n```python\nreturn output\n```",
    "skipped": "<!-- skip: nobody is there -->\n```sh\nfalse\n```",
    "text that nothing printed": "```text\na diagram\n```",
    "in a list": "1. so\n\n   <!-- run: a.py -->\n   ```python\n   if 1:\n       print(1)\n   ```",
}
WRONG = {
    "unmarked": ("```python\nprint(1)\n```", "a.md:1: say above"),
    "unmarked shell": ("\n```sh\ntrue\n```", "a.md:2: say above"),
    "unknown mark": ("<!-- rum: a.py -->\n```python\n1\n```", "a.md:2: say above"),
    "no reason": ("<!-- skip -->\n```python\n1\n```", "needs a reason"),
    "no name": ("<!-- run -->\n```python\n1\n```", "needs the name"),
    "outside": ("<!-- file: ../b.py -->\n```python\n1\n```", "needs the name"),
    "excerpt of nothing": ("<!-- excerpt: a.py -->\n```python\n1\n```", "needs the name"),
    "excerpt out of date": (
        "<!-- excerpt: tools/run_docs.py -->\n```python\nreturn outputs\n```",
        "tools/run_docs.py has no such lines",
    ),
    "raises": ("<!-- run: a.py -->\n```python\nraise KeyError(7)\n```", "KeyError: 7"),
    "fails": ("<!-- shell -->\n```sh\nfalse\ntrue\n```", "ended with 1"),
    "other output": (
        "<!-- run: a.py -->\n```python\nprint(1)\n```\n```text\n2\n```",
        "but the document says:\n2",
    ),
    "more output": (
        "<!-- run: a.py -->\n```python\nprint(12)\n```\n```text\n1\n```",
        "printed:\n12",
    ),
    "console output": ("<!-- shell -->\n```console\n$ echo hello\nhallo\n```", "printed:\nhello"),
}


@pytest.mark.parametrize("document", FINE.values(), ids=FINE.keys())
def test_what_is_right_passes(tmp_path: Path, document: str) -> None:
    path = tmp_path / "a.md"
    path.write_text(document)
    done = run_docs(path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("document", "problem"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_found(tmp_path: Path, document: str, problem: str) -> None:
    path = tmp_path / "a.md"
    path.write_text(document)
    done = run_docs(path)
    assert done.returncode == 1
    assert problem in done.stdout
