"""The demo runs as it is, in two processes and in one, and it notices what went wrong."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent
FILES = {
    "one.md": "Coal and coal and water\nfeed the boiler.",
    "deep/two.txt": "WATER, Coal; steam!\n\n",
    "deep/three.py": "def stoke(coal):\n    return coal\n",
    "latin.txt": "Größe\x85naïve   été\r\nend\r",
    "empty.txt": "",
    "[bold]/six.txt": "brackets",
    "picture.bin": "\0\1\2 not a document",
    ".hidden/four.md": "not seen",
    "__pycache__/five.py": "not seen either",
}
DOCUMENTS = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of documents, and of what is none."""
    folder = tmp_path / "some documents"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    (folder / "broken.txt").symlink_to("nowhere")
    (folder / "not-utf8.txt").write_bytes(b"caf\xe9 noir\xff\n")
    return folder


def claims(output: str) -> Counter[str]:
    """How many checks held and how many did not."""
    return Counter(re.findall(r"^(ok|FAIL)\b", output, re.MULTILINE))


@pytest.mark.parametrize("url", [[], ["--url", "memory://"]], ids=["two processes", "one process"])
def test_the_demo_indexes_a_folder_and_checks_itself(
    start: Callable[..., Any], folder: Path, url: list[str]
) -> None:
    demo = start(EXAMPLES / "demo.py", folder, *url)
    output, _ = demo.communicate()
    assert demo.returncode == 0, output
    assert f"one for each of {DOCUMENTS + 1} files" in output
    assert claims(output) == {"ok": 8 if url else 9}
    assert "coal (5)" in output
    assert "completed, attempt 3, 2 errors" in output
    assert ("the worker stopped gracefully: exit code 0" in output) != bool(url)


def test_the_demo_runs_on_the_sources_of_this_project(start: Callable[..., Any]) -> None:
    demo = start(EXAMPLES / "demo.py", EXAMPLES)
    output, _ = demo.communicate()
    assert demo.returncode == 0, output


def test_a_store_of_ones_own_is_left_clean(
    start: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'mine.db'}"
    demo = start(EXAMPLES / "demo.py", folder, "--url", url)
    output, _ = demo.communicate()
    assert demo.returncode == 0, output
    told = json.loads(start("-m", "stoker_cli", "status", url, "--json").communicate()[0])
    (queue,) = told["queues"]
    assert set(queue["counts"].values()) == {0}
    assert told["workers"] == []


def test_a_different_count_makes_the_demo_fail(
    load: Callable[[str], Any],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    demo = load("demo")

    def miscount(place: Path) -> Any:
        counted = load("recount").recount(place)
        counted.words += 1
        return counted

    monkeypatch.setattr(demo, "recount", miscount)
    monkeypatch.setattr(sys, "argv", ["demo.py", str(folder), "--url", "memory://"])
    with pytest.raises(SystemExit, match="did not come out as it should"):
        demo.main()
    output = capsys.readouterr().out
    assert "FAIL the same number of words" in output
    assert claims(output) == {"ok": 7, "FAIL": 1}


def test_a_job_that_fails_for_good_makes_the_demo_fail(
    load: Callable[[str], Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = load("demo")
    monkeypatch.setattr(demo, "find_documents", lambda _: [folder / "vanished.txt"])
    monkeypatch.setattr(sys, "argv", ["demo.py", str(folder), "--url", "memory://"])
    with pytest.raises(SystemExit, match="a job failed for good"):
        demo.main()


def test_a_worker_that_ends_early_makes_the_demo_fail(
    load: Callable[[str], Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = load("demo")
    monkeypatch.setattr(demo, "WORKER", "documents:no_such_application")
    monkeypatch.setattr(sys, "argv", ["demo.py", str(folder)])
    with pytest.raises(SystemExit, match="the worker has ended with exit code 2"):
        demo.main()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent"], "absent is not a folder"),
        (["empty"], "empty has no text files"),
        (["some documents", "--url", "oracle://joe:secret@host"], "no installed driver answers"),
    ],
)
def test_what_cannot_run_is_refused(
    load: Callable[[str], Any],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (folder.parent / "empty").mkdir()
    monkeypatch.chdir(folder.parent)
    monkeypatch.setattr(sys, "argv", ["demo.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        load("demo").main()
    said = str(ended.value) + "".join(capsys.readouterr())
    assert ended.value.code != 0
    assert message in said
    assert "secret" not in said


def test_indexing_a_file_twice_changes_nothing(
    load: Callable[[str], Any], folder: Path, tmp_path: Path
) -> None:
    documents = load("documents")
    index = documents.Index(tmp_path / "index.db")
    document = documents.Document(path=folder / "one.md")
    first = documents.index_file(document, index)
    before = index.report()
    assert documents.index_file(document, index) == first
    assert index.report() == before
    assert (before.files, before.lines, before.words) == (1, 2, 8)
    assert before.top_terms[0] == ("coal", 2)
