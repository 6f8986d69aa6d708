"""A snapshot as tables, for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from stoker import JobState
from stoker_cli._snapshot import Queue, Recurring, Running, Snapshot

__all__ = ["tables"]

_TIMES = {"since", "next", "last"}
_ALARMING = {JobState.FAILED: "red", JobState.RUNNING: "green"}


def tables(snapshot: Snapshot) -> Iterator[RenderableType]:
    """Yield what to print, from top to bottom."""
    if snapshot.queues:
        yield _queues(snapshot.queues)
    else:
        yield Text("no queue holds a job, a schedule or a pause")
    if snapshot.workers is None:
        yield Text(f"{snapshot.store.driver} does not know which workers are alive", style="dim")
    elif snapshot.workers:
        yield _workers(snapshot.workers)
    else:
        yield Text("no worker is alive", style="yellow")
    if snapshot.schedules:
        yield _schedules(snapshot.schedules)


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    for column in columns:
        # Names are never cut short: they are there to be copied. Times stay on their line.
        table.add_column(column, overflow="fold", no_wrap=column in _TIMES)
    return table


def _queues(queues: list[Queue]) -> Table:
    table = _table("Queues", "queue")
    for heading in [*JobState, "oldest"]:
        table.add_column(heading, justify="right", no_wrap=True)
    for queue in queues:
        name = escape(queue.name) + (" [yellow](paused)[/]" if queue.paused else "")
        table.add_row(name, *(_count(queue, state) for state in JobState), _age(queue))
    return table


def _count(queue: Queue, state: JobState) -> Text:
    count = queue.counts[state]
    more = "+" if state in queue.at_least else ""
    style = _ALARMING.get(state, "") if count else "dim"
    return Text(f"{count:,}{more}", style=style)


def _age(queue: Queue) -> str:
    seconds = queue.oldest_ready_seconds
    return "-" if seconds is None else str(timedelta(seconds=round(seconds)))


def _workers(workers: list[Running]) -> Table:
    table = _table("Workers", "worker", "host", "jobs at a time", "queues", "since")
    for worker in workers:
        table.add_row(
            escape(worker.id),
            escape(worker.host),
            str(worker.concurrency or "-"),
            escape(", ".join(worker.queues)),
            _time(worker.since),
        )
    return table


def _schedules(schedules: list[Recurring]) -> Table:
    table = _table("Schedules", "queue", "job", "rule", "next", "last", "ticks")
    for schedule in schedules:
        table.add_row(
            escape(schedule.queue),
            escape(schedule.job),
            escape(schedule.rule),
            _time(schedule.next_at),
            _time(schedule.last_at),
            f"{schedule.count:,}",
        )
    return table


def _time(at: datetime | None) -> str:
    return "-" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"
