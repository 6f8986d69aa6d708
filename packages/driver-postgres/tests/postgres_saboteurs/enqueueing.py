"""Defects of storing jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from postgres_saboteurs.base import Changed, Changes, saboteur
from stoker.driver import Enqueued, EnqueueStatus, NewJob


def _answered_by_id(jobs: Sequence[NewJob], answers: list[Enqueued]) -> list[Enqueued]:
    stored = {job.key: answer for job, answer in zip(jobs, answers, strict=True) if _is_new(answer)}
    return [stored.get(job.key, answer) for job, answer in zip(jobs, answers, strict=True)]


def _is_new(answer: Enqueued) -> bool:
    return answer.status is EnqueueStatus.INSERTED


@saboteur("ENQ-03", "TXN-03")
class AnswersById(Changed):
    """What was inserted is told by its id: of two equal ones both are."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        return _answered_by_id(jobs, await super().enqueue(jobs, now=now))

    async def enqueue_in(
        self, connection: Any, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        return _answered_by_id(jobs, await super().enqueue_in(connection, jobs, now=now))


_WRITES_OVER = (
    "on conflict (queue, id) do nothing",
    "on conflict (queue, id) do update set place = excluded.place",
)


@saboteur("ENQ-02", "ENQ-11")
class Upserts(Changed):
    """An enqueue writes over the job that has the id."""

    changes: ClassVar[Changes] = {
        "enqueue": (
            _WRITES_OVER,
            ("    select i.queue", "    select distinct on (i.queue, i.id) i.queue"),
        ),
        "enqueue_one": (_WRITES_OVER,),
    }


@saboteur("ORD-05")
class PlacesFollowTheLocks(Changed):
    """Places are given in the order in which rows are taken."""

    changes: ClassVar[Changes] = {
        "enqueue": (
            ("            nextval('stoker.places') as place,  -- in the order of the batch\n", ""),
            ("i.place,", "nextval('stoker.places'),"),
        )
    }


_NO_BOUND = ("set_config('lock_timeout', $2, true)", "$2")


@saboteur("TXN-12")
class WaitsForEver(Changed):
    """An enqueue sets no bound for its wait for a lock."""

    changes: ClassVar[Changes] = {"enqueue": (_NO_BOUND,), "enqueue_one": (_NO_BOUND,)}


_FREE = """if found and not exists (
    select from stoker.keys as k where k.queue = item.queue and k.key = item.key
) then"""


@saboteur("UNQ-07")
class KeyBeforeId(Changed):
    """The unique key is looked at before the id: a request sent again conflicts with itself."""

    functions: ClassVar[Changes] = {
        "enqueue_unique": (
            (
                "            if found then\n                status := case",
                f"            {_FREE}\n                status := case",
            ),
            ("when not found or holder.id = item.id", "when not found"),
        )
    }


@saboteur("UNQ-06")
class LooksForTheKeyFirst(Changed):
    """A key is looked for, and then taken by everybody who has found it free."""

    functions: ClassVar[Changes] = {
        "take_key": (
            ("begin\n    loop", "declare was_free boolean;\nbegin\n    loop"),
            (
                "        insert into stoker.keys",
                """\
        was_free := not exists (
            select from stoker.keys where queue = in_queue and key = in_key
        );
        perform pg_sleep(0.01);
        insert into stoker.keys""",
            ),
            ("do nothing", "do update set id = in_id where was_free"),
        )
    }


@saboteur("UNQ-04")
class KeysExpireLate(Changed):
    """A key that is held until a time is still held at it."""

    functions: ClassVar[Changes] = {"take_key": (("expires_at <= moment", "expires_at < moment"),)}


_FOLDED = ("on conflict (queue, id)", "on conflict (queue, lower(id))")


@saboteur("ENQ-07")
class CaseIsFolded(Changed):
    """Ids are compared as a collation does in which the case of letters does not matter."""

    changes: ClassVar[Changes] = {"enqueue": (_FOLDED,), "enqueue_one": (_FOLDED,)}
    script: ClassVar[str] = "create unique index on stoker.jobs (queue, lower(id))"


@saboteur("SCH-08")
class NamesAreSortedAsWords(Changed):
    """Schedules are sorted as a dictionary would: capitals do not come first."""

    changes: ClassVar[Changes] = {
        "schedule_list": (("order by s.queue, s.name", "order by s.queue, lower(s.name)"),)
    }
