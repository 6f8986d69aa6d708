"""What passes between a case and its processes arrives as it was sent."""

from __future__ import annotations

import io
from types import MappingProxyType
from typing import cast

import pytest

from stoker.errors import DriverUnavailable, PartlyScheduled
from stoker_conformance import Violation
from stoker_conformance.faults._wire import Deframer, dump, frame, frames, load


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_frames_arrive_whole_however_they_are_cut(size: int) -> None:
    sent = [(1, b""), (2, b"x" * 300), (1, b"y")]
    data = b"".join(frame(number, body) for number, body in sent)
    deframer = Deframer()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert [one for piece in pieces for one in deframer.feed(piece)] == sent
    assert list(frames(io.BytesIO(data))) == sent


def test_errors_arrive_with_their_attributes_causes_and_notes() -> None:
    error = DriverUnavailable("gone", maybe_applied=True)
    error.__cause__ = PermissionError(13, "no")
    error.add_note("while it rained")
    arrived = cast(DriverUnavailable, load(dump(error)))
    assert type(arrived) is DriverUnavailable
    assert (str(arrived), arrived.maybe_applied) == ("gone", True)
    assert arrived.__notes__ == ["while it rained"]
    assert isinstance(arrived.__cause__, PermissionError)
    assert arrived.__cause__.errno == 13

    violation = load(dump(Violation("it", "good", "bad")))
    assert (violation.what, violation.expected, violation.seen) == ("it", "good", "bad")
    assert "expected: good" in str(violation)


def test_what_of_an_error_cannot_be_copied_is_left_out() -> None:
    error = PartlyScheduled("half", [lambda: None])
    error.args = ("half",)
    arrived = load(dump(error))
    assert str(arrived) == "half"
    assert not hasattr(arrived, "stored")


def test_a_read_only_mapping_arrives_as_a_mapping() -> None:
    assert load(dump({"metadata": MappingProxyType({"a": "b"})})) == {"metadata": {"a": "b"}}
