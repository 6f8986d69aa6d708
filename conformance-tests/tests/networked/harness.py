"""The harness: it starts the server, and kills it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from networked.client import Connection, NetworkedDriver
from networked.wire import Call, Hello
from stoker.driver import Driver
from stoker_conformance import Harness

__all__ = ["NetworkedHarness"]

_TESTS = Path(__file__).parent.parent


class NetworkedHarness(Harness[str]):
    """A server of its own, on a free port; a namespace is a file in a folder of its own."""

    def __init__(self, driver: type[NetworkedDriver] = NetworkedDriver) -> None:
        self.driver = driver
        self._server: asyncio.subprocess.Process | None = None
        self._folder: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_server": None}

    async def setup(self) -> None:
        self._folder = Path(mkdtemp(prefix="stoker-networked-"))
        await self._start(0)

    async def teardown(self) -> None:
        await self._kill()
        if self._folder is not None:
            shutil.rmtree(self._folder)

    async def namespace(self) -> str:
        assert self._folder is not None
        place = self._folder / uuid.uuid4().hex
        place.mkdir()
        return str(place / "jobs.db")

    async def discard(self, namespace: str) -> None:
        folder = Path(namespace).parent
        with suppress(FileNotFoundError):  # the server is removing files of its own just now
            shutil.rmtree(folder)
        shutil.rmtree(folder, ignore_errors=True)

    async def connect(self, namespace: str) -> Driver:
        assert self.address is not None
        return self.driver(self.address, namespace)

    async def footprint(self, namespace: str) -> int:
        assert self.address is not None
        connection = await Connection.open(self.address, Hello(namespace, "footprint"))
        try:
            return int(await connection.ask(Call("footprint", (), {})))
        finally:
            await connection.close()

    async def restart_backend(self) -> None:
        assert self.address is not None
        await self._kill()
        await self._start(self.address[1])

    async def checkpoint_backend(self) -> None:
        """Do nothing: a store in memory keeps nothing, and a file everything."""

    async def rewind_backend(self) -> None:
        await self.restart_backend()

    async def _start(self, port: int) -> None:
        self._server = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "networked.server",
            self.driver.store,
            str(port),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(_TESTS)},
        )
        assert self._server.stdout is not None
        said = await self._server.stdout.readline()
        if not said:
            raise RuntimeError("the server did not start: it says why on its standard error")
        self.address = ("127.0.0.1", int(said))

    async def _kill(self) -> None:
        if self._server is not None and self._server.returncode is None:
            self._server.kill()
            await self._server.wait()
