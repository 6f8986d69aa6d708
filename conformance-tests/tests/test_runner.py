"""A case is bounded, and everything that it used is given back."""

import asyncio

import pytest
from harnesses import MemoryHarness

from stoker.driver import Driver, Scope
from stoker_conformance import Bench, Case, Violation, run_case


class Counting(MemoryHarness):
    """Counts what was made and what was given back."""

    def __init__(self) -> None:
        self.clients: list[Driver] = []
        self.discarded: list[str] = []

    async def connect(self, namespace: str) -> Driver:
        self.clients.append(await super().connect(namespace))
        return self.clients[-1]

    async def discard(self, namespace: str) -> None:
        self.discarded.append(namespace)


class Refusing(MemoryHarness):
    """Cannot throw a namespace away."""

    async def discard(self, namespace: str) -> None:
        raise OSError("the folder is busy")


def case(body: object, bound: float = 5.0) -> Case:
    scope = Scope.PROCESS
    return Case("XXX-01", "It works.", ("some.clause",), (), scope, "Fix it.", bound, body)  # type: ignore[arg-type]


async def test_a_case_that_does_not_end_is_a_failure() -> None:
    async def stuck(c: Bench) -> None:
        await c.driver()
        await asyncio.Event().wait()

    harness = Counting()
    with pytest.raises(Violation, match=r"an end within 0\.01 s"):
        await run_case(case(stuck, bound=0.01), harness)
    assert len(harness.discarded) == 1


async def test_clients_and_namespaces_are_given_back_after_a_failure() -> None:
    async def red(c: Bench) -> None:
        await c.drivers(2)
        await c.another_namespace()
        raise Violation("it", "good", "bad")

    harness = Counting()
    with pytest.raises(Violation, match="it"):
        await run_case(case(red), harness)
    assert len(harness.discarded) == 2
    for client in harness.clients:
        with pytest.raises(Exception, match="open"):
            await client.queues()


async def test_a_failure_to_clean_up_is_a_failure() -> None:
    async def green(c: Bench) -> None:
        await c.driver()

    with pytest.raises(OSError, match="busy"):
        await run_case(case(green), Refusing())


async def test_a_failure_to_clean_up_does_not_hide_the_first_one() -> None:
    async def red(c: Bench) -> None:
        raise Violation("it", "good", "bad")

    with pytest.raises(Violation, match="it") as caught:
        await run_case(case(red), Refusing())
    assert "busy" in caught.value.__notes__[0]


async def test_more_and_more_to_do_ends_a_case() -> None:
    class Endless(type(await MemoryHarness().connect("endless"))):  # type: ignore[misc]
        async def reap(self, queues, *, limit, delay, error, now=None):  # type: ignore[no-untyped-def]
            return [object()]

    async def body(c: Bench) -> None:
        await c.reap(Endless("memory://endless"), now=c.now)

    with pytest.raises(Violation, match="at most 1000 rounds"):
        await run_case(case(body), MemoryHarness())
