"""What the server is given: keys that stay in one slot, and scripts that name what they use."""

from __future__ import annotations

import re
import sys
from importlib.resources import files

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot
from tools.servers.valkey import ValkeyServer

from stoker.errors import IncompatibleStore, InvalidInput
from stoker_redis import RedisDriver
from stoker_redis._keys import PARTS, Keys, check_prefix, version_key, worker_keys
from stoker_redis._scripts import Script
from stoker_redis._store import LAYOUT

NAMES = [
    "a",
    "{a}",
    "}{",
    "{}",
    "{",
    "}",
    "%",
    "%25",
    "%7B",
    "{a",
    "a}b{c}",
    ":",
    "ä",
    "\ud800",
    "",
]
OPERATIONS = sorted(
    file.name.removesuffix(".lua")
    for file in files("stoker_redis").joinpath("lua").iterdir()
    if file.name.endswith(".lua")
)


@pytest.mark.parametrize("name", NAMES)
def test_all_keys_of_a_queue_are_in_one_slot(name: str) -> None:
    assert len({key_slot(key) for key in Keys("prefix", name).all()}) == 1


def test_the_keys_of_the_workers_are_in_one_slot() -> None:
    assert len({key_slot(key) for key in worker_keys("prefix")}) == 1


def test_no_two_queues_share_a_key() -> None:
    keys = [key for name in NAMES for key in Keys("prefix", name).all()]
    assert len(set(keys)) == len(keys)
    assert not set(keys).intersection(worker_keys("prefix"))


@pytest.mark.parametrize("prefix", ["", "a{b", "a}b", "a\nb", "a" * 256])
def test_a_prefix_that_would_move_the_slots_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidInput):
        check_prefix(prefix)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "clock"])
def test_a_script_says_what_it_does_and_uses_each_of_its_keys(name: str) -> None:
    script = Script(name)
    text = files("stoker_redis").joinpath("lua", f"{name}.lua").read_text()
    assert text.startswith("-- ")
    assert set(script.keys) <= set(PARTS)
    code = script.text.decode()
    for key in script.keys:
        assert len(re.findall(rf"\b{key.upper()}\b", code)) > 1, f"{key} is given and not used"


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_script_is_given_every_key_that_it_names(name: str) -> None:
    script = Script(name)
    code = re.sub(r"'[^']*'", "''", script.text.decode())
    named = set(re.findall(r"\b[A-Z]{2,}\b(?! =)", code)) - {"KEYS", "ARGV"}
    known = set(re.findall(r"^local ([A-Z]{2,}) = ", code, re.MULTILINE))
    assert named <= known


def test_every_script_belongs_to_an_operation() -> None:
    modules = [found for name, found in sys.modules.items() if name.startswith("stoker_redis.")]
    used = {
        value.name
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Script)
    }
    assert used == set(OPERATIONS)


def test_constants_are_written_out_and_texts_stay_as_they_are() -> None:
    code = Script("claim").text.decode()
    assert "redis.call('TIME')" in code
    assert not re.search(r"\b(RUNNING|EPOCH|NONE|FORMAT)\b", code)
    assert "-- " not in code


async def test_a_store_of_another_layout_is_refused(
    driver: RedisDriver, server: ValkeyServer, prefix: str
) -> None:
    async with Redis(port=server.port) as raw:
        await raw.set(version_key(prefix).decode(), LAYOUT + 1)
    await driver.open()  # an open one stays as it is
    with pytest.raises(IncompatibleStore, match=f"layout {LAYOUT + 1}"):
        await driver.clone().open()
