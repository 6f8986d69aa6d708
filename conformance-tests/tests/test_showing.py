"""What a red case shows of the values that it compared."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from harnesses import MemoryHarness

from stoker.driver import Enqueued, EnqueueStatus, JobKey, JobState, Scope, Token
from stoker_conformance.showing import contrast, show

NOON = datetime(2031, 3, 14, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (b"1", "b'1'"),
        ("ready", "'ready'"),
        (JobState.READY, "READY"),
        (Scope.HOST, "HOST"),
        (NOON, "2031-03-14T12:00:00Z"),
        (NOON + timedelta(microseconds=1), "2031-03-14T12:00:00.000001Z"),
        (NOON.replace(tzinfo=None), "2031-03-14T12:00:00 (naive)"),
        (NOON.replace(tzinfo=timezone(timedelta(hours=9))), "2031-03-14T12:00:00+09:00"),
        (timedelta(seconds=4), "0:00:04"),
        (JobKey("mails", "7"), "mails/7"),
        (Token(JobKey("mails", "7"), 3), "mails/7 (epoch 3)"),
        (Enqueued(EnqueueStatus.INSERTED), "Enqueued(status=INSERTED)"),
        ([(JobState.READY, None)], "[(READY, None)]"),
        ((1,), "(1,)"),
        ({"b", "a"}, "{'a', 'b'}"),
        (set[str](), "nothing"),
        ({JobState.READY: [1]}, "{READY: [1]}"),
        (Enqueued, repr(Enqueued)),
    ],
)
def test_a_value_is_shown_plainly(value: object, text: str) -> None:
    assert show(value) == text


def test_a_long_value_is_cut_in_the_middle() -> None:
    text = show("x" * 5_000)
    assert len(text) < 700
    assert text.endswith("(5,002 characters)")


def test_of_very_many_items_the_first_and_the_last_are_shown() -> None:
    assert show(list(range(1, 2_001))) == "[1, 2, 3, 4, 5, ..., 1999, 2000: 2,000 items]"


def test_small_values_are_shown_whole() -> None:
    assert contrast([1, 2], [1, 3]) == ("[1, 2]", "[1, 3]")


IDS = [f"job-{number:04}" for number in range(1, 101)]


def test_of_long_lists_only_the_places_that_differ_are_shown() -> None:
    seen = [*IDS[:50], "other", *IDS[51:]]
    assert contrast(IDS, seen) == (
        "of 100 items, item 51: 'job-0051'",
        "of 100 items, item 51: 'other'",
    )


def test_of_lists_of_other_lengths_what_is_missing_and_too_much_is_shown() -> None:
    expected, seen = contrast(IDS, [*IDS[2:], "job-0100"])
    assert expected == "100 items, among them 'job-0001', 'job-0002'"
    assert seen == "99 items, among them 'job-0100'"
    assert contrast(IDS, [])[0].endswith(" and 95 more")
    assert contrast(IDS, [])[1] == "0 items"
    assert contrast(IDS, ["other"])[1] == "1 item, among them 'other'"


async def test_of_large_records_only_the_fields_that_differ_are_shown() -> None:
    info = (await MemoryHarness().connect("showing")).info
    assert contrast(info, replace(info, max_batch=1)) == (
        "DriverInfo(max_batch=1000, ...)",
        "DriverInfo(max_batch=1, ...)",
    )
