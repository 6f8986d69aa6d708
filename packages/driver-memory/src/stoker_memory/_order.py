"""All jobs of a queue in the order of their insertion, to be read from any point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stoker_memory._job import Job

__all__ = ["InsertionOrder"]

_PAGE_BITS: Final = 9


class InsertionOrder:
    """Jobs by sequence number: added at the end, removed anywhere, read from any number on.

    A plain dict keeps this order too, but cannot be entered in its middle. So the numbers are
    split into pages of 512, and a page without jobs is dropped: a reader steps over the pages
    before its cursor, not over the jobs.
    """

    __slots__ = ("_pages",)

    def __init__(self) -> None:
        self._pages: dict[int, dict[int, Job]] = {}

    def add(self, job: Job) -> None:
        """Add a job whose sequence number is the highest so far."""
        number = job.sequence >> _PAGE_BITS
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = {}
        page[job.sequence] = job

    def remove(self, job: Job) -> None:
        """Take a job out."""
        number = job.sequence >> _PAGE_BITS
        page = self._pages[number]
        del page[job.sequence]
        if not page:
            del self._pages[number]

    def after(self, cursor: int | None) -> Iterator[Job]:
        """Yield the jobs inserted after `cursor`, oldest first."""
        for number, page in self._pages.items():
            if cursor is None or number > cursor >> _PAGE_BITS:
                yield from page.values()
            elif number == cursor >> _PAGE_BITS:
                yield from (job for sequence, job in page.items() if sequence > cursor)

    def before(self, cursor: int | None) -> Iterator[Job]:
        """Yield the jobs inserted before `cursor`, newest first."""
        for number, page in reversed(self._pages.items()):
            if cursor is None or number < cursor >> _PAGE_BITS:
                yield from reversed(page.values())
            elif number == cursor >> _PAGE_BITS:
                yield from (job for sequence, job in reversed(page.items()) if sequence < cursor)
