"""The web application over HTTP: in one process, and as a real server with a real worker."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stoker import JobState
from stoker.errors import DriverUnavailable

EXAMPLES = Path(__file__).resolve().parent.parent
ADA = {"email": "ada@example.com", "name": "Ada"}
Load = Callable[[str], Any]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the application keeps its users."""
    path = tmp_path / "web.db"
    monkeypatch.setenv("WEB_DATABASE", str(path))
    return path


@asynccontextmanager
async def serving(web: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, which runs in this process."""
    transport = httpx.ASGITransport(app=web.api)
    async with (
        web.api.router.lifespan_context(web.api),
        httpx.AsyncClient(transport=transport, base_url="http://users") as client,
    ):
        yield client


async def welcomed(client: httpx.AsyncClient, user_id: int) -> dict[str, Any]:
    """The user, once the welcome has gone out; within a minute."""
    async with asyncio.timeout(60):
        while True:
            answer = await client.get(f"/users/{user_id}")
            if answer.json()["welcomed"]:
                user: dict[str, Any] = answer.json()
                return user
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("database")
async def test_the_answer_comes_before_the_welcome_goes_out(load: Load) -> None:
    web = load("web")
    async with serving(web) as client:
        answer = await client.post("/users", json=ADA)
        assert answer.status_code == 201
        assert answer.json() == {"id": 1, "welcome_job": "welcome-1"}
        assert (await client.get("/users/1")).json() == {"id": 1, **ADA, "welcomed": False}
        ((letter, record),) = await web.jobs_app.scheduled(web.send_welcome)
        assert letter == web.Welcome(user_id=1, **ADA)
        assert record.state is JobState.READY

        await web.jobs_app.run_until_idle()
        assert (await client.get("/users/1")).json()["welcomed"] is True


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("store", ["", "memory://"])
async def test_the_worker_runs_inside_in_development(
    load: Load, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    monkeypatch.setenv("WEB_WORKER", "inside")
    if store:
        monkeypatch.setenv("WEB_JOBS", store)
    async with serving(load("web")) as client:
        assert (await client.post("/users", json=ADA)).status_code == 201
        assert await welcomed(client, 1) == {"id": 1, **ADA, "welcomed": True}


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"email": "no address", "name": "Ada"}, 422),
        ({"email": "ada@example.com"}, 422),
        (ADA, 409),
    ],
)
async def test_a_refused_user_gets_no_welcome(
    load: Load, body: dict[str, str], status: int
) -> None:
    web = load("web")
    async with serving(web) as client:
        assert (await client.post("/users", json=ADA)).status_code == 201
        assert (await client.post("/users", json=body)).status_code == status
        assert (await client.get("/users/2")).status_code == 404
        assert len(await web.jobs_app.scheduled(web.send_welcome)) == 1


@pytest.mark.usefixtures("database")
async def test_a_user_whose_welcome_cannot_be_scheduled_is_not_stored(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = load("web")

    async def fail(*_: object, **__: object) -> None:
        raise DriverUnavailable("nobody answers", maybe_applied=False)

    async with serving(web) as client:
        with monkeypatch.context() as broken:
            broken.setattr(type(web.jobs_app.driver), "enqueue_in", fail)
            with pytest.raises(DriverUnavailable):
                await client.post("/users", json=ADA)
        assert (await client.get("/users/1")).status_code == 404
        # Nothing is left in the way of a second try.
        assert (await client.post("/users", json=ADA)).status_code == 201


@pytest.mark.usefixtures("database")
async def test_the_same_welcome_is_not_sent_twice(load: Load) -> None:
    web = load("web")
    async with serving(web):
        letter = web.Welcome(user_id=7, **ADA)
        for _ in range(2):
            await web.Outbox().send(letter)
        async with web.connect() as database:
            rows = await (await database.execute("select body from outbox")).fetchall()
        assert [tuple(row) for row in rows] == [("Welcome, Ada!",)]


@pytest.mark.usefixtures("database")
async def test_a_server_process_schedules_and_a_worker_process_runs(
    start: Callable[..., Any],
) -> None:
    # The server gets a socket that listens already, so the client need not wait for its start.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        descriptor = listening.fileno()
        server = start(
            *("-m", "uvicorn", "--app-dir", EXAMPLES, "--fd", str(descriptor), "web:api"),
            pass_fds=(descriptor,),
        )
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for number in range(1, 6):
                user = {"email": f"ada{number}@example.com", "name": "Ada"}
                answer = await client.post("/users", json=user)
                assert answer.status_code == 201, answer.text
            worker = start("-m", "stoker_cli", "worker", "--app-dir", EXAMPLES, "web:jobs_app")
            for number in range(1, 6):
                await welcomed(client, number)
        worker.send_signal(signal.SIGTERM)
        output, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0, output
        assert output.count("welcomed user") == 5
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=60)
        assert "Application shutdown complete" in output
