"""Harnesses that cannot be used: each is told from the others, and says what to do."""

import sys
from pathlib import Path
from typing import ClassVar

import pytest
from harnesses import MemoryHarness

from stoker.driver import Driver
from stoker_conformance import Deviation, Harness
from stoker_conformance.introducing import HarnessFailed, introduce, make
from stoker_conformance.loading import HarnessNotFound, load_harness

FILES = {
    "paper_mine.py": "from stoker_conformance import Harness\nX = 1\nclass Good(Harness): ...\n",
    "paper_broken.py": "import no_such_library\n",
    "paper_wrong.py": "def a(: ...\n",
    "src/paper_src/__init__.py": "",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An author's folder, which is the current one; its modules are forgotten at the end."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_a_harness_is_found_in_the_current_folder() -> None:
    assert issubclass(load_harness("paper_mine:Good"), Harness)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("reference", "advice"),
    [
        ("paper_mine", "write module:Class"),
        (":Good", "write module:Class"),
        ("paper_mine.py:Good", "write paper_mine:Class"),
        ("nowhere:Good", "run the command in the folder of its file"),
        ("nowhere.deeper:Good", "there is no module nowhere.deeper"),
        ("paper_src:Good", "it is in src/paper_src: install it with `pip install -e .`"),
        ("paper_broken:Good", "No module named 'no_such_library'"),
        ("paper_wrong:Good", "SyntaxError"),
        ("paper_mine:Nothing", "paper_mine has no Nothing; it has Good"),
        ("paper_mine:X", "derive it from stoker_conformance.Harness"),
    ],
)
def test_what_is_no_harness_says_what_to_do(reference: str, advice: str) -> None:
    with pytest.raises(HarnessNotFound) as caught:
        load_harness(reference)
    assert advice in str(caught.value)


class Unfinished(Harness[str]):
    """Lacks what every harness has to have."""

    async def connect(self, namespace: str) -> Driver:
        raise NotImplementedError


class NoSuchCase(MemoryHarness):
    """Deviates from nothing."""

    deviations: ClassVar = {"FNC-99": Deviation("why", "where")}


class NoServer(MemoryHarness):
    """Cannot be set up."""

    async def setup(self) -> None:
        raise OSError("no server here")


class NoDriver(MemoryHarness):
    """Connects to nothing."""

    async def connect(self, namespace: str) -> Driver:
        return "a driver"  # type: ignore[return-value]


class Untidy(MemoryHarness):
    """Cannot throw a namespace away."""

    async def discard(self, namespace: str) -> None:
        raise OSError("the folder is busy")


@pytest.mark.parametrize(
    ("harness", "problem"),
    [
        (Unfinished, "the harness cannot be made: .*footprint"),
        (NoSuchCase, "`deviations` names cases that do not exist: FNC-99"),
        (NoServer, "`setup` of the harness failed: OSError: no server here"),
        (NoDriver, "`connect` has to return a driver, .* 'a driver' has None"),
        (Untidy, "`discard` of the harness failed: OSError: the folder is busy"),
    ],
)
async def test_the_first_look_says_what_is_wrong(harness: type[Harness[str]], problem: str) -> None:
    with pytest.raises(HarnessFailed, match=problem):
        await introduce(make(harness))


async def test_the_first_look_tells_what_the_driver_says_of_itself() -> None:
    assert (await introduce(make(MemoryHarness))).name == "memory"
