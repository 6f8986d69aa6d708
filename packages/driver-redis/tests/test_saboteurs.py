"""Scripts with one small defect each, of the kind that loses jobs or runs them twice.

Each is caught by a case of the conformance suite.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol, cast

import pytest
import pytest_asyncio
from redis_harness import ClusterServers, EverysecServer

from stoker.errors import DriverError
from stoker_conformance import Violation, run_case
from stoker_conformance.catalog import case_by_id
from stoker_redis import _scripts
from stoker_redis._keys import Keys
from stoker_redis._scripts import Script


class Defect(NamedTuple):
    """What a script says, what it says in place of that, and the case that turns red."""

    killer: str
    file: str
    right: str
    wrong: str


DEFECTS: Final[dict[str, Defect]] = {
    "settle does not compare the epoch": Defect(
        "FNC-01", "settle.lua", "run[EPOCH] ~= item.epoch", "false"
    ),
    "settle does not look at the state": Defect(
        "FNC-04", "settle.lua", "elseif run[STATE] ~= RUNNING then", "elseif false then"
    ),
    "settle forgets what it did": Defect(
        "FNC-05",
        "settle.lua",
        "    run[SETTLED_AS], run[SETTLED_TO] = item.kind, run[STATE]\n",
        "",
    ),
    "extend does not compare the epoch": Defect(
        "FNC-02", "extend.lua", " or run[EPOCH] ~= item.epoch", ""
    ),
    "extend leaves the lease as it is": Defect(
        "LSE-02", "extend.lua", "run[EXPIRES_AT] = now + length", ""
    ),
    "a claim leaves the entry in its stream": Defect(
        "CLM-04",
        "claim.lua",
        "redis.call('XTRIM', stream, 'MINID', time .. '-' .. number + 1)",
        "local _ = time",
    ),
    "a lease is written by the first extend": Defect(
        "CLM-09", "claim.lua", "redis.call('ZADD', LEASES, unpack(leases))", "local _ = leases"
    ),
    "the ready streams are trimmed": Defect(
        "ENQ-08", "enqueue.lua", "stream, '*'", "stream, 'MAXLEN', 500, '*'"
    ),
    "the epoch is the attempt": Defect(
        "FNC-10", "claim.lua", "attempt + 1, epoch)", "attempt + 1, attempt + 1)"
    ),
    "the epoch counter is lost with the tail": Defect(
        "RST-03",
        "claim.lua",
        "math.max(tonumber(meta[2]) or 0, server_now - 1)",
        "tonumber(meta[2]) or 0",
    ),
    "a claim ignores the pause": Defect(
        "CLM-03", "claim.lua", "if not paused then", "if true then"
    ),
    "the lowest priority comes first": Defect(
        "ORD-04", "lib/priorities.lua", "return one > other", "return one < other"
    ),
    "a promote is not bounded": Defect(
        "DLY-02", "promote.lua", "'LIMIT', 0, tonumber(ARGV[2])", "'LIMIT', 0, -1"
    ),
    "a due job counts from its microsecond on": Defect(
        "DLY-01", "promote.lua", "'-inf', digits(now)", "'-inf', digits(now + 1)"
    ),
    "microseconds become text by tostring": Defect(
        "DLY-01", "lib/time.lua", "string.format('%.0f', number)", "tostring(number)"
    ),
    "a reap asks the server's clock": Defect(
        "LSE-06", "reap.lua", "clock(ARGV[1])", "server_time()"
    ),
    "a reap frees the unique key": Defect(
        "UNQ-01", "reap.lua", "    change(run)\n", "    change(run)\n    free_key(run)\n"
    ),
    "the end of a job keeps its unique key": Defect(
        "UNQ-02", "lib/moves.lua", "if run[LASTING] ~= FOR_A_TIME then", "if false then"
    ),
    "a key is freed whoever holds it": Defect(
        "UNQ-04", "lib/unique.lua", "hold[2] <= now then", "hold[2] <= server_time() then"
    ),
    "a record leaves its job behind": Defect(
        "INS-06", "lib/storing.lua", "    write('HDEL', JOBS, id)\n", ""
    ),
    "a record leaves its reports behind": Defect(
        "INS-06", "lib/storing.lua", "write('HDEL', REPORTS, field)", "id = field"
    ),
    "a fire does not compare the version": Defect(
        "SCH-03", "fire_schedule.lua", "version ~= tonumber(ARGV[3])", "false"
    ),
    "a fire does not look at the tick": Defect(
        "SCH-05", "fire_schedule.lua", "tick == NONE or tick > now", "false"
    ),
    "nobody is told of a cancel": Defect(
        "WAK-06", "cancel.lua", "streams[CANCEL] = true", "was = RUNNING"
    ),
    "hints are for enqueues alone": Defect(
        "WAK-01", "lib/moves.lua", "    wakes_workers = true\n", "    wakes_workers = run[FRESH]\n"
    ),
}


class _HasText(Protocol):
    text: bytes
    sha: bytes


def _scripts_of_the_driver() -> list[Script]:
    modules = [found for name, found in sys.modules.items() if name.startswith("stoker_redis.")]
    return [value for module in modules for value in vars(module).values() if type(value) is Script]


@contextmanager
def changed(file: str, right: str, wrong: str) -> Iterator[None]:
    """Let all scripts that have a file be what they are with a change of it."""
    read = _scripts._read

    def read_changed(path: str) -> str:
        text = read(path)
        if path != file:
            return text
        assert right in text, f"{file} does not say {right!r} any more"
        return text.replace(right, wrong)

    scripts = _scripts_of_the_driver()
    before = [(script.text, script.sha) for script in scripts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_scripts, "_read", read_changed)
        after = [Script(script.name) for script in scripts]
    for script, other in zip(scripts, after, strict=True):
        _replace(script, other.text, other.sha)
    try:
        yield
    finally:
        for script, (text, sha) in zip(scripts, before, strict=True):
            _replace(script, text, sha)


def _replace(script: Script, text: bytes, sha: bytes) -> None:
    changeable = cast(_HasText, script)
    changeable.text, changeable.sha = text, sha


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def harness() -> AsyncIterator[EverysecServer]:
    harness = EverysecServer()
    await harness.setup()
    yield harness
    await harness.teardown()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", DEFECTS)
async def test_a_defect_is_caught(harness: EverysecServer, name: str) -> None:
    defect = DEFECTS[name]
    case = case_by_id(defect.killer)
    await run_case(case, harness)
    with (
        changed(defect.file, defect.right, defect.wrong),
        pytest.raises((Violation, DriverError)),
    ):
        await run_case(case, harness)


async def test_keys_in_several_slots_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def scattered(self: Keys, parts: tuple[str, ...]) -> list[bytes]:
        return [key.replace(b"{", b"").replace(b"}", b"") for key in together(self, parts)]

    together = Keys.of
    harness = ClusterServers()
    await harness.setup()
    try:
        await run_case(case_by_id("ENQ-09"), harness)
        monkeypatch.setattr(Keys, "of", scattered)
        with pytest.raises((Violation, DriverError)):
            await run_case(case_by_id("ENQ-09"), harness)
    finally:
        await harness.teardown()
