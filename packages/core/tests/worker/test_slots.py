"""Sharing free places out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.driver import Want
from stoker.worker.slots import Slots


def nobody() -> None:
    """Is told of freed places where the test does not care."""


def shares(slots: Slots, *queues: str) -> dict[str, int]:
    return {want.queue: want.limit for want in slots.wants(queues)}


def test_one_queue_gets_all_places() -> None:
    assert shares(Slots(10, {"a": 10}, nobody), "a") == {"a": 10}


def test_places_are_shared_evenly_and_none_is_left() -> None:
    slots = Slots(10, {"a": 10, "b": 10, "c": 10}, nobody)
    assert sorted(shares(slots, "a", "b", "c").values()) == [3, 3, 4]


def test_what_one_queue_may_not_take_others_get() -> None:
    slots = Slots(10, {"a": 1, "b": 10}, nobody)
    for _ in range(4):
        asked = shares(slots, "a", "b")
        assert asked["a"] == 1
        assert asked["b"] >= 5


def test_no_queue_gets_more_than_its_limit() -> None:
    assert shares(Slots(10, {"a": 2}, nobody), "a") == {"a": 2}


def test_with_fewer_places_than_queues_each_gets_its_turn() -> None:
    slots = Slots(1, {"a": 1, "b": 1, "c": 1}, nobody)
    turns = [shares(slots, "a", "b", "c") for _ in range(6)]
    assert all(sum(turn.values()) == 1 for turn in turns)
    assert {queue for turn in turns[:3] for queue in turn} == {"a", "b", "c"}
    assert turns[:3] == turns[3:]


def test_taken_places_are_not_given_again_until_they_are_free() -> None:
    slots = Slots(3, {"a": 2, "b": 3}, nobody)
    slots.take("a")
    slots.take("a")
    assert shares(slots, "a", "b") == {"b": 1}
    slots.take("b")
    assert shares(slots, "a", "b") == {}
    slots.free("a")
    assert shares(slots, "a") == {"a": 1}


def test_places_that_are_about_to_be_free_are_shared_out_as_well() -> None:
    slots = Slots(3, {"a": 3, "b": 3}, nobody)
    for _ in range(3):
        slots.take("a")
    assert slots.wants(["a"], {"a": 2}) == [Want("a", 2)]
    # A place of "a" may go to "b".
    assert slots.wants(["b"], {"a": 2}) == [Want("b", 2)]
    assert slots.wants(["b"], {"b": 2}) == []


def test_no_more_places_are_about_to_be_free_than_are_taken() -> None:
    slots = Slots(9, {"a": 2, "b": 9}, nobody)
    slots.take("a")
    assert slots.wants(["a"], {"a": 100}) == [Want("a", 2)]
    slots.take("b")
    assert slots.wants(["b"], {"b": 100, "a": 100}) == [Want("b", 9)]


def test_it_counts_what_was_given_back_of_each_queue() -> None:
    slots = Slots(3, {"a": 3, "b": 3}, nobody)
    for _ in range(2):
        slots.take("a")
        slots.free("a")
    assert slots.ended == {"a": 2, "b": 0}


def test_only_the_queues_asked_for_get_places() -> None:
    assert shares(Slots(4, {"a": 4, "b": 4}, nobody), "b") == {"b": 4}
    assert shares(Slots(4, {"a": 4, "b": 4}, nobody)) == {}


@given(
    st.integers(1, 50),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 60), min_size=1),
    st.lists(st.sampled_from("abcdef"), max_size=40),
)
def test_no_more_is_ever_asked_for_than_is_free(
    total: int, limits: dict[str, int], taken: list[str]
) -> None:
    slots = Slots(total, limits, nobody)
    free, of = total, dict(limits)
    for queue in taken:
        if queue in of and of[queue] and free:
            slots.take(queue)
            free, of[queue] = free - 1, of[queue] - 1
    asked = shares(slots, *limits)
    most = min(free, sum(of.values()))
    assert sum(asked.values()) <= most
    assert bool(asked) is (most > 0)
    assert all(0 < limit <= of[queue] for queue, limit in asked.items())


@pytest.mark.parametrize(
    ("total", "limits", "taken", "told"),
    [
        (1, {"a": 1, "b": 1}, "a", 1),
        (3, {"a": 3, "b": 3}, "aab", 1),
        (9, {"a": 1, "b": 8}, "a", 1),
        (9, {"a": 2, "b": 7}, "aab", 1),
        (9, {"a": 2, "b": 7}, "ab", 0),
    ],
    ids=["the only place", "all places", "the place of a queue", "its places", "places left"],
)
def test_a_freed_place_is_told_where_there_was_none(
    total: int, limits: dict[str, int], taken: str, told: int
) -> None:
    calls: list[dict[str, int]] = []
    slots = Slots(total, limits, lambda: calls.append(shares(slots, "a")))
    for queue in taken:
        slots.take(queue)
    slots.free("a")
    assert len(calls) == told
    # The place is there for who is told of it, not only afterwards.
    assert all(call["a"] >= 1 for call in calls)


def test_a_place_of_a_queue_that_has_others_is_not_told() -> None:
    calls: list[int] = []
    slots = Slots(9, {"a": 2, "b": 7}, lambda: calls.append(1))
    slots.take("a")
    slots.take("a")
    slots.free("a")
    slots.free("a")
    assert calls == [1]


def test_with_all_places_taken_every_queue_is_told_of_the_first_that_is_free() -> None:
    calls: list[int] = []
    slots = Slots(2, {"a": 2, "b": 2}, lambda: calls.append(1))
    slots.take("a")
    slots.take("b")
    slots.free("b")
    assert calls == [1]
    assert shares(slots, "a") == {"a": 1}
