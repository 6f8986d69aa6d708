"""The proxy of faults, between a client and an echo that are simple enough to see through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from stoker_conformance.faults.proxy import FaultProxy, LinkFault

Connect = Callable[[], Awaitable["Client"]]


class Echo:
    """A server that says everything back in upper case, and remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while data := await reader.read(65_536):
                self.heard.append(data)
                writer.write(data.upper())
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            writer.close()


class Client:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, text: bytes) -> bytes:
        self.writer.write(text)
        return await asyncio.wait_for(self.reader.readexactly(len(text)), 5)


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[FaultProxy]:
    before = asyncio.all_tasks()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with FaultProxy(server.sockets[0].getsockname()) as proxy:
        yield proxy
    assert {task for task in asyncio.all_tasks() - before if "proxy" in task.get_name()} == set()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def connect(proxy: FaultProxy) -> AsyncIterator[Connect]:
    clients: list[Client] = []

    async def connected() -> Client:
        clients.append(Client(*await asyncio.open_connection(*proxy.address)))
        return clients[-1]

    yield connected
    for client in clients:
        client.writer.close()


async def test_without_a_fault_it_is_only_a_detour(proxy: FaultProxy, connect: Connect) -> None:
    client = await connect()
    big = b"x" * 1_000_000
    assert await client.ask(b"hello") == b"HELLO"
    assert await client.ask(b"again") == b"AGAIN"
    assert (proxy.connections, proxy.exchanges, proxy.happened.total()) == (1, 2, 0)
    assert await client.ask(big) == big.upper()


async def test_a_cut_request_does_not_reach_the_store(
    proxy: FaultProxy, connect: Connect, echo: Echo
) -> None:
    client, other = await connect(), await connect()
    await client.ask(b"one")
    await other.ask(b"two")
    proxy.arm(LinkFault.CUT_REQUEST)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await client.ask(b"three")
    assert await other.ask(b"four") == b"FOUR"
    assert echo.heard == [b"one", b"two", b"four"]
    assert proxy.happened == {LinkFault.CUT_REQUEST: 1}


async def test_a_cut_reply_follows_a_request_that_reached_the_store(
    proxy: FaultProxy, connect: Connect, echo: Echo
) -> None:
    client = await connect()
    proxy.arm(LinkFault.CUT_REPLY)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await client.ask(b"one")
    assert echo.heard == [b"one"]
    assert proxy.happened == {LinkFault.CUT_REPLY: 1}
    assert await (await connect()).ask(b"two") == b"TWO"


async def test_a_fault_skips_exchanges_and_happens_as_often_as_armed(
    proxy: FaultProxy, connect: Connect
) -> None:
    proxy.arm(LinkFault.CUT_REQUEST, skip=2, times=2)
    fates: list[bool] = []
    for number in range(6):
        client = await connect()
        try:
            await client.ask(b"%d" % number)
            fates.append(True)
        except (ConnectionError, asyncio.IncompleteReadError):
            fates.append(False)
    assert fates == [True, True, False, False, True, True]


async def test_all_exchanges_are_hit_until_it_is_disarmed(
    proxy: FaultProxy, connect: Connect
) -> None:
    proxy.arm(LinkFault.CUT_REQUEST, times=None)
    for _ in range(3):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await (await connect()).ask(b"no")
    proxy.disarm()
    assert await (await connect()).ask(b"yes") == b"YES"


async def test_a_half_open_connection_stays_and_passes_nothing(
    proxy: FaultProxy, connect: Connect, echo: Echo
) -> None:
    client = await connect()
    await client.ask(b"one")
    proxy.arm(LinkFault.HALF_OPEN)
    client.writer.write(b"two")
    await asyncio.wait_for(proxy.reached(LinkFault.HALF_OPEN), 5)
    client.writer.write(b"three")
    assert await (await connect()).ask(b"four") == b"FOUR"
    assert not client.reader.at_eof()
    assert echo.heard == [b"one", b"four"]
    await proxy.cut()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(client.reader.readexactly(1), 5)


async def test_cut_ends_all_that_is_open_and_nothing_later(
    proxy: FaultProxy, connect: Connect
) -> None:
    clients = [await connect() for _ in range(3)]
    for client in clients:
        await client.ask(b"hello")
    await proxy.cut()
    for client in clients:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.ask(b"hello")
    assert await (await connect()).ask(b"again") == b"AGAIN"


async def test_new_connections_are_refused_and_open_ones_are_not(
    proxy: FaultProxy, connect: Connect
) -> None:
    old = await connect()
    await old.ask(b"one")
    proxy.refusing = True
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await (await connect()).ask(b"two")
    assert await old.ask(b"three") == b"THREE"
    assert proxy.refused == 1
    proxy.refusing = False
    assert await (await connect()).ask(b"four") == b"FOUR"


async def test_a_sliced_link_passes_everything_in_small_pieces(
    proxy: FaultProxy, connect: Connect, echo: Echo
) -> None:
    client = await connect()
    proxy.sliced = True
    assert await client.ask(b"sliced") == b"SLICED"
    # Two bytes may meet again on their way, if the reader is slow.
    assert max(map(len, echo.heard)) < len(b"sliced")


async def test_a_slow_link_passes_everything(proxy: FaultProxy, connect: Connect) -> None:
    client = await connect()
    proxy.delay = 0.001
    assert await client.ask(b"slow") == b"SLOW"


async def test_what_a_peer_says_before_it_leaves_is_passed_on() -> None:
    async def last_words(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"x" * 200_000)
        writer.close()

    server = await asyncio.start_server(last_words, "127.0.0.1", 0)
    async with FaultProxy(server.sockets[0].getsockname()) as other:
        reader, writer = await asyncio.open_connection(*other.address)
        writer.write(b"bye")
        assert len(await asyncio.wait_for(reader.read(-1), 5)) == 200_000
        writer.close()
    server.close()
    await server.wait_closed()


async def test_a_store_that_is_away_ends_the_connection(unused_tcp_port: int) -> None:
    async with FaultProxy(("127.0.0.1", unused_tcp_port)) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        assert proxy.unreached == 1
        writer.close()


async def test_the_address_is_known_once_it_is_started() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        _ = FaultProxy(("127.0.0.1", 1)).address
