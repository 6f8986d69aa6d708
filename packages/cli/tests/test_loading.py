"""From `module:app` to an application, and what is said when it leads nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Invoke = Callable[..., Result]

MODULE = """
from stoker import Router, Stoker

router = Router("router")

@router.job
async def job() -> None: ...

class config:
    app = Stoker("memory://", jobs=[router])

first = Stoker("memory://", jobs=[router])
second = Stoker("memory://", jobs=[router])

def make(): return Stoker("memory://", jobs=[router])
def make_from(url): return make()
async def make_later(): return make()
def make_number(): return 5
def make_nothing(): pass
def make_trouble():
    raise KeyError("trouble of my own")
def make_misfit():
    return Stoker("oracle://joe:secret@host/db", jobs=[router])
"""

BAD = [
    ("shop", "write module:app"),
    ("shop:", "write module:app"),
    (":app", "write module:app"),
    ("", "write module:app"),
    (".shop:app", "'' is not a name of Python"),
    ("shop:my-app", "'my-app' is not a name of Python"),
    ("shop.py:app", "is a file, and a module is wanted: write shop:app\n"),
    ("src/shop.py:app", "write shop:app --app-dir src\n"),
    ("absent:app", "there is no module 'absent', looked for in {folder} (--app-dir)"),
    ("absent.jobs:app", "there is no module 'absent'"),
    ("shop.absent:app", "there is no module 'shop.absent'"),
    ("shop:absent", "has no 'absent'; there is shop:first, shop:second\n"),
    ("empty:app", "the module 'empty' has no 'app'; empty has no Stoker application"),
    ("shop:router", "shop:router is an object of Router, and not a Stoker application; there is"),
    ("shop:job", "shop:job is the job job, and not a Stoker application"),
    ("shop:Stoker", "shop:Stoker is the class Stoker, and not"),
    ("shop:make_from", "it is called without arguments (missing a required argument: 'url')"),
    ("shop:make_later", "returned a coroutine (it is to be a plain function)"),
    ("shop:make_number", "returned an object of int"),
    ("shop:make_nothing", "returned None"),
    ("shop:make_misfit", "shop.py, line 23: no installed driver answers to oracle://"),
    ("talking:app", "talking.py, line 2: cannot use redis://joe:***@host\n"),
    ("misfit:app", "misfit.py, line 3: no installed driver answers to oracle://"),
]

TROUBLE = [
    ("needy:app", "import absent_library", "No module named 'absent_library'"),
    ("broken:app", 'raise ValueError("of my own")', "ValueError: of my own"),
    ("quitting:app", "raise SystemExit(0)", "SystemExit: 0"),
    ("leaky:app", 'open("redis://joe:***@host")', "FileNotFoundError"),
    ("garbled:app", "this is (no Python", "SyntaxError"),
    ("shop:make_trouble", 'raise KeyError("trouble of my own")', "KeyError: 'trouble of my own'"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with modules that people write."""
    (tmp_path / "shop.py").write_text(MODULE)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "needy.py").write_text("import absent_library")
    (tmp_path / "broken.py").write_text('raise ValueError("of my own")')
    (tmp_path / "quitting.py").write_text("raise SystemExit(0)")
    (tmp_path / "leaky.py").write_text('open("redis://joe:secret@host")')
    (tmp_path / "garbled.py").write_text("this is (no Python")
    (tmp_path / "talking.py").write_text(
        "from stoker.errors import InvalidOption\n"
        'raise InvalidOption("cannot use redis://joe:secret@host")'
    )
    (tmp_path / "misfit.py").write_text(
        'from stoker import Router, Stoker\n\napp = Stoker("oracle://joe:secret@host", jobs=[])'
    )
    return tmp_path


@pytest.mark.parametrize(("reference", "message"), BAD)
@pytest.mark.parametrize("command", ["worker", "status"])
def test_a_wrong_reference_is_one_clear_line(
    invoke: Invoke, folder: Path, command: str, reference: str, message: str
) -> None:
    result = invoke(command, reference, "--app-dir", folder)
    assert result.exit_code == 2
    assert message.format(folder=folder) in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert not result.stdout
    assert "secret" not in result.output


@pytest.mark.parametrize(("reference", "line", "error"), TROUBLE)
def test_an_error_in_the_users_own_code_comes_with_its_traceback(
    invoke: Invoke, folder: Path, reference: str, line: str, error: str
) -> None:
    result = invoke("worker", reference, "--app-dir", folder)
    assert result.exit_code == 2
    assert line in result.stderr
    assert error in result.stderr
    assert "importlib" not in result.stderr
    assert "stoker_cli" not in result.stderr
    assert "secret" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("reference", ["shop:first", "shop:config.app", "shop:make"])
def test_a_right_reference_leads_to_the_application(
    invoke: Invoke, folder: Path, reference: str
) -> None:
    result = invoke("worker", reference, "--app-dir", folder)
    # It is found, and then refused for what it is.
    assert "the driver memory keeps jobs inside of one process" in result.stderr
    assert "autostart_worker" in result.stderr
    assert result.exit_code == 2


def test_the_current_folder_is_where_modules_are_looked_for(
    invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert "the driver memory keeps" in invoke("worker", "shop:first").stderr
