"""A heap that can give up any of its items, not only the first."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Heap", "Ranked"]


class Ranked:
    """Something that can be in one heap at a time; the lowest rank comes first."""

    __slots__ = ("rank", "slot")

    rank: tuple[int, str]
    """A time, and a name that decides between equal times."""
    slot: int
    """Where it is in its heap; meaningless outside of one."""


R = TypeVar("R", bound=Ranked)


class Heap(Generic[R]):
    """A binary heap whose items know their place in it.

    The heap of the standard library cannot remove from its middle. The usual way around, to leave
    dead entries behind and clean up when there are many, would stop the event loop for as long as
    the clean-up of a million entries takes. Here every step is O(log n), and the cheapest case is
    the commonest: an item that ranks behind all others is appended.
    """

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: list[R] = []

    def __len__(self) -> int:
        return len(self._items)

    def first(self) -> R | None:
        """Return the item with the lowest rank, without taking it out."""
        return self._items[0] if self._items else None

    def push(self, item: R, rank: tuple[int, str]) -> None:
        """Add `item`, which is in no heap, with this rank."""
        item.rank = rank
        self._items.append(item)
        self._rise(item, len(self._items) - 1)

    def remove(self, item: R) -> None:
        """Take out `item`, which is in this heap."""
        last = self._items.pop()
        if last is item:
            return
        slot = item.slot
        self._sink(last, slot)
        if last.slot == slot:
            self._rise(last, slot)

    def _rise(self, item: R, slot: int) -> None:
        """Put `item` at `slot`, or nearer to the top while it ranks before its parent."""
        items, rank = self._items, item.rank
        while slot:
            above = (slot - 1) >> 1
            parent = items[above]
            if parent.rank <= rank:
                break
            items[slot] = parent
            parent.slot = slot
            slot = above
        items[slot] = item
        item.slot = slot

    def _sink(self, item: R, slot: int) -> None:
        """Put `item` at `slot`, or further from the top while a child ranks before it."""
        items, rank = self._items, item.rank
        size = len(items)
        while (below := 2 * slot + 1) < size:
            if below + 1 < size and items[below + 1].rank < items[below].rank:
                below += 1
            child = items[below]
            if rank <= child.rank:
                break
            items[slot] = child
            child.slot = slot
            slot = below
        items[slot] = item
        item.slot = slot
