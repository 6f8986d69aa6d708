"""A PgBouncer in transaction mode, in front of a PostgreSQL server."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from tools.servers.processes import end, free_port, hand_over, unprivileged

__all__ = ["MISSING", "PgBouncer", "find_pgbouncer"]

MISSING: Final = "PgBouncer is not installed: `apt-get install pgbouncer`, or another package of it"

_START_SECONDS: Final = 10.0

_CONFIGURATION: Final = """\
[databases]
* = {server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
; Anybody may log in, and becomes the user of the line above.
auth_type = any
pool_mode = transaction
; Few connections, each transaction on the one that was used longest ago: what a client leaves on a
; connection is then found by another, and not by itself.
default_pool_size = {size}
server_round_robin = 1
max_client_conn = 1000
admin_users = admin
; A server that was restarted is tried again soon; nobody waits long for one that is gone.
server_login_retry = 0.1
query_wait_timeout = 10
"""


def find_pgbouncer() -> str | None:
    """Return the path of the program; `None` where it is not installed."""
    # Debian's is in a folder that is not on every user's PATH.
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


class PgBouncer:
    """A pooler of its own for one server, found under the same user and database.

    A context manager: started at the beginning of the block, stopped and deleted at its end.

    Raises:
        FileNotFoundError: PgBouncer is not installed; says what to install.
    """

    def __init__(self, server: str, *, size: int = 20) -> None:
        program = find_pgbouncer()
        if program is None:
            raise FileNotFoundError(MISSING)
        self._program = program
        self._server = server
        self._size = size
        self._folder = Path(tempfile.mkdtemp(prefix="stoker-pgbouncer-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """The URL of the server's database, through the pooler."""
        parts = urlsplit(self._server)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    @property
    def console(self) -> str:
        """The URL of the pooler's own console."""
        return f"postgresql://admin@127.0.0.1:{self.port}/pgbouncer"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def restart(self) -> None:
        """Kill the pooler with all its connections, and start it again at the same port."""
        process, self._process = self._process, None
        end(process, signal.SIGKILL, signal.SIGKILL)
        self._start()

    def close(self) -> None:
        """Stop the pooler, and delete its folder."""
        process, self._process = self._process, None
        end(process, signal.SIGTERM, signal.SIGKILL)  # at once, whoever is connected
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        configuration = self._folder / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(server=self._line(), port=self.port, size=self._size)
        )
        hand_over(self._folder)
        hand_over(configuration)
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, configuration], stdout=output, stderr=output, user=unprivileged()
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"the pooler does not listen:\n{log.read_text()}")
            time.sleep(0.02)

    def _line(self) -> str:
        """Return where the server is, in PgBouncer's own words."""
        parts = urlsplit(self._server)
        words = {
            "host": parts.hostname or "127.0.0.1",
            "port": str(parts.port or 5432),
            "user": unquote(parts.username or "postgres"),
        }
        if parts.password is not None:
            words["password"] = unquote(parts.password)
        return " ".join(f"{name}='{_quoted(word)}'" for name, word in words.items())

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _quoted(word: str) -> str:
    return word.replace("'", "''")
