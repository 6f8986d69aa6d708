"""The options of `stoker worker`, and the help that it gives."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import Result

from stoker.errors import InvalidOption
from stoker_cli import _running
from stoker_cli._worker import limits

Invoke = Callable[..., Result]

APPS = Path(__file__).parent / "apps"

BAD = [
    (["-c", "0"], "concurrency=0: give"),
    (["-c", "many"], "'many' is not a valid integer"),
    (["-q", "a", "-q", "a"], "--queues names 'a' twice"),
    (["-q", "a=b"], "write NAME or NAME=LIMIT"),
    (["-q", "a=0"], "'a'"),
    (["-q", "=3"], "queue"),
    (["--lease", "0"], "lease=0.0: give more than zero seconds"),
    (["--grace", "-1"], "grace=-1.0: give zero or more seconds"),
    (["--grace", "nan"], "grace=nan"),
    (["--log-level", "loud"], "'loud' is not one of"),
    (["--log-format", "xml"], "'xml' is not one of"),
    (["--app-dir", "absent"], "'absent' does not exist"),
    (["--colour"], "No such option"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_an_option_out_of_range_is_refused(
    invoke: Invoke, options: list[str], message: str
) -> None:
    result = invoke("worker", "sample:app", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_store_that_is_no_store_is_refused(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jobs.db").write_text("not a database, but long enough to be mistaken for one" * 9)
    monkeypatch.setenv("SAMPLE_FOLDER", str(tmp_path))
    result = invoke("worker", "sample:app", "--app-dir", APPS)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert "jobs.db is not an SQLite database" in result.stderr


def test_queues_without_a_limit_may_take_all_places() -> None:
    assert limits(["emails", "reports=2"], 7) == {"emails": 7, "reports": 2}
    assert limits([], 7) == {}
    with pytest.raises(InvalidOption, match="emails=5"):
        limits(["reports=two"], 7)


def test_help_shows_examples_defaults_and_exit_codes(invoke: Invoke) -> None:
    text = invoke("worker", "--help").stdout
    assert "stoker worker jobs:app -c 50 -q emails -q reports=2" in text
    assert "[default: 10]" in text
    assert re.search(r"^ +143 +|130, 143", text, re.MULTILINE)
    assert "status" in invoke("-h").stdout


def test_the_version_is_told(invoke: Invoke) -> None:
    text = invoke("--version").stdout
    assert f"stoker-cli {version('stoker-cli')}, stoker {version('stoker')}, Python 3." in text


def test_the_log_level_is_that_of_stoker_and_spares_other_libraries(invoke: Invoke) -> None:
    invoke("worker", "sample:private", "--app-dir", APPS, "--log-level", "debug")
    assert logging.getLogger("stoker.worker").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("aiosqlite").isEnabledFor(logging.DEBUG)
    assert logging.getLogger("aiosqlite").isEnabledFor(logging.INFO)


def test_uvloop_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    uvloop = pytest.importorskip("uvloop")
    assert _running._loop_factory() is uvloop.new_event_loop
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert _running._loop_factory() is None
