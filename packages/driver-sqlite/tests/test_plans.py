"""Every statement that may meet a large table finds its rows by an index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from stoker_sqlite._schema import prepare
from stoker_sqlite._sql import _FOLDER, statement

NAMES = sorted(
    file.name.removesuffix(".sql") for file in _FOLDER.iterdir() if file.name.endswith(".sql")
)
SMALL = {"lock", "queues", "worker_list", "worker_purge"}
"""Read nothing, or tables that are as small as the number of queues or workers."""


def fill(raw: sqlite3.Connection, state: str) -> None:
    """Store a thousand jobs of one state, and let SQLite learn what that means for its plans."""
    finished_at = 1 if state == "completed" else None
    raw.execute("begin")
    raw.executemany(
        "insert into stoker_jobs (queue, id, state, priority, place, run_at, max_attempts, "
        "max_crashes, enqueued_at, name, payload_version, finished_at, expires_at) "
        "values ('q', ?, ?, 4, ?, 1, 1, 1, 1, 'a.b', 1, ?, 1)",
        [(f"{number}", state, number, finished_at) for number in range(1_000)],
    )
    raw.execute("commit")
    raw.execute("analyze")


@pytest.fixture(scope="module", params=["nothing", "ready", "scheduled", "running", "completed"])
def raw(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("plans") / "jobs.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        prepare(raw, path, "full")
        if request.param != "nothing":
            fill(raw, request.param)
        yield raw


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_scans_no_table(raw: sqlite3.Connection, name: str) -> None:
    sql = statement(name)
    names = [word.strip("(),;") for word in sql.replace("(", " ( ").split()]
    parameters = {word[1:]: None for word in names if word.startswith(":")}
    values = parameters or [None] * sql.count("?")
    plan = [row[3] for row in raw.execute(f"explain query plan {sql}", values)]
    scans = [step for step in plan if step.startswith("SCAN") and "stoker_" in step]
    scans += [step for step in plan if step.split()[:2] in (["SCAN", "j"], ["SCAN", "a"])]
    assert name in SMALL or scans == []


def test_a_scan_would_be_noticed(raw: sqlite3.Connection) -> None:
    plan = raw.execute("explain query plan select * from stoker_jobs where worker = 'w'")
    assert [row[3] for row in plan] == ["SCAN stoker_jobs"]
