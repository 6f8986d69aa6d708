"""Ids: UUIDv7."""

import time
from types import SimpleNamespace
from uuid import RFC_4122, UUID

import pytest

from stoker._ids import new_id


def test_an_id_is_a_uuid_of_version_7_in_its_usual_form() -> None:
    for _ in range(200):
        text = new_id()
        parsed = UUID(text)
        assert str(parsed) == text
        assert parsed.version == 7
        assert parsed.variant == RFC_4122


def test_an_id_begins_with_the_milliseconds_of_its_creation() -> None:
    before = time.time_ns() // 1_000_000
    made = int(new_id().replace("-", "")[:12], 16)
    assert before <= made <= time.time_ns() // 1_000_000


def test_ids_of_later_milliseconds_sort_after_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for millisecond in range(1_000_000_000_000, 1_000_000_000_200):
        clock = SimpleNamespace(time_ns=lambda at=millisecond: at * 1_000_000)
        monkeypatch.setattr("stoker._ids.time", clock)
        ids.append(new_id())
    assert ids == sorted(ids)


def test_ids_do_not_repeat() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000
