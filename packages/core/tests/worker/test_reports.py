"""Progress and log entries as the store keeps them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages.core.tests.support import START

from stoker.driver.checks import MAX_LOG_BYTES
from stoker.router import Progress
from stoker.worker.reports import log_entry, progress_entry


class Opaque:
    """Cannot be shown as text."""

    def __str__(self) -> str:
        raise AttributeError("no text")


def endless() -> list[Any]:
    inside: list[Any] = []
    inside.append(inside)
    return inside


ODD: dict[str, Any] = {
    "no JSON": object,
    "a set": {1},
    "bytes": b"\xff",
    "a lone surrogate": "\ud800",
    "a lone surrogate as a key": {"\ud800": 1},
    "a cycle": endless(),
    "no text": Opaque(),
    "not a number": float("nan"),
}


def entry_of(**entry: Any) -> Any:
    data = log_entry(START, entry)
    assert len(data) <= MAX_LOG_BYTES
    return json.loads(data)


def test_an_entry_is_stored_with_its_time_and_fields() -> None:
    assert entry_of(message="sent", to="7", parts=[1, 2]) == {
        "at": "2030-01-01T00:00:00Z",
        "message": "sent",
        "to": "7",
        "parts": [1, 2],
    }


def test_a_value_that_is_no_json_is_stored_as_text() -> None:
    assert entry_of(message="odd", kind=object)["kind"] == str(object)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_field_does_not_cost_the_message(odd: Any) -> None:
    assert entry_of(message="paid", odd=odd)["message"] == "paid"


@pytest.mark.parametrize("text", ["x" * 20_000, "\x01" * 20_000, "\U0001f600" * 20_000])
def test_an_entry_that_is_too_long_keeps_the_beginning_of_its_message(text: str) -> None:
    entry = entry_of(message=text, more="dropped")
    assert entry["cut"] is True
    assert text.startswith(entry["message"])
    assert len(entry["message"]) >= 500
    assert "more" not in entry


@pytest.mark.parametrize("text", ["x" * 20_000, "\x01" * 20_000, "\U0001f600" * 20_000])
def test_a_long_message_of_progress_is_cut(text: str) -> None:
    data = progress_entry(Progress(1, text))
    assert len(data) <= MAX_LOG_BYTES
    message = json.loads(data)["message"]
    assert text.startswith(message)
    assert len(message) >= 500


def test_a_long_field_is_dropped_and_the_message_is_kept() -> None:
    assert entry_of(message="paid", body="x" * 20_000) == {
        "at": "2030-01-01T00:00:00Z",
        "message": "paid",
        "cut": True,
    }


def test_surrogates_in_a_message_are_replaced() -> None:
    assert entry_of(message="a\ud800b")["message"] == "a?b"
    assert json.loads(progress_entry(Progress(1, "a\ud800b")))["message"] == "a?b"


@given(
    st.text(st.characters(), max_size=3_000),
    st.dictionaries(
        st.text(st.characters(), max_size=5).filter(lambda key: key not in ("at", "message")),
        st.text(st.characters(), max_size=3_000) | st.binary(max_size=50) | st.integers(),
        max_size=5,
    ),
)
def test_whatever_is_reported_is_json_of_at_most_8_kib(text: str, fields: dict[str, Any]) -> None:
    assert "message" in entry_of(message=text, **fields)
    data = progress_entry(Progress(50, text))
    assert len(data) <= MAX_LOG_BYTES
    assert json.loads(data)["percent"] == 50


@pytest.mark.parametrize("odd", [404, b"\xff", {1: 2}, endless()])
def test_a_message_that_is_no_text_is_stored_as_text(odd: Any) -> None:
    assert json.loads(progress_entry(Progress(1, odd)))["message"] == str(odd)


def test_progress_without_a_message_has_none() -> None:
    assert json.loads(progress_entry(Progress(12.5))) == {"percent": 12.5, "message": None}
