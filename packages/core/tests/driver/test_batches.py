"""Cutting many items into calls that a driver takes."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from packages.core.tests.support import SpyDriver

from stoker.driver import (
    IMMEDIATELY,
    Cancel,
    Complete,
    Extension,
    Fail,
    JobKey,
    NewJob,
    Outcome,
    Release,
    Retry,
    Settlement,
    Token,
)
from stoker.driver.batches import batches, size_of_extension, size_of_job, size_of_settlement

INFO = SpyDriver().info
TOKEN = Token(JobKey("q", "1"), 1)


@given(st.lists(st.integers(0, 120), max_size=60), st.integers(1, 10), st.integers(120, 300))
def test_batches_hold_everything_in_order_within_both_limits_and_as_few_as_possible(
    sizes: list[int], most: int, room: int
) -> None:
    info = replace(INFO, max_batch=most, max_batch_bytes=room)
    cut = list(batches(sizes, lambda size: size, info))
    assert [size for batch in cut for size in batch] == sizes
    assert all(batch and len(batch) <= most and sum(batch) <= room for batch in cut)
    for batch, following in pairwise(cut):
        assert len(batch) == most or sum(batch) + following[0] > room


def test_what_counts_is_what_drivers_count() -> None:
    assert size_of_job(NewJob(JobKey("q", "1"), "n", payload=b"12345")) == 5
    assert size_of_extension(Extension(TOKEN)) == 0
    assert size_of_extension(Extension(TOKEN, b"123", [b"1", b"12"])) == 6
    outcomes: list[tuple[Outcome, int]] = [
        (Complete(), 0),
        (Complete(b"123"), 3),
        (Fail(b"1234"), 4),
        (Retry(IMMEDIATELY, b"12"), 2),
        (Release(IMMEDIATELY), 0),
        (Cancel("a long reason"), 0),
    ]
    for outcome, size in outcomes:
        assert size_of_settlement(Settlement(TOKEN, outcome)) == size
        assert size_of_settlement(Settlement(TOKEN, outcome, b"12345", [b"1"])) == size + 6
