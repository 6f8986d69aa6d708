"""Where scripts run: on one server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from redis.exceptions import NoPermissionError, NoScriptError, ReadOnlyError, ResponseError

from stoker.errors import DriverError, DriverUnavailable
from stoker_redis._connection import Command, Dial, Link, talk
from stoker_redis._errors import FAILURES, refused, translated
from stoker_redis._pool import Pool
from stoker_redis._scripts import Script

__all__ = [
    "Call",
    "Nodes",
    "Single",
    "confirm",
    "exchange",
    "names_of",
    "raise_first",
    "with_errors",
]

_ANSWER_SECONDS: Final = 10.0
"""How long an answer may take. Scripts work in small steps, so a server that says nothing for so
long is not there any more, or busy with something else."""
_REPLICA_SECONDS: Final = 5.0
"""How long replicas may take to have what was written."""


class Call(NamedTuple):
    """A script, with the keys that decide where it runs, and its arguments."""

    script: Script
    keys: Sequence[bytes]
    args: Sequence[str | bytes | int]


class Nodes(Protocol):
    """One server or several, each key on one of them."""

    is_cluster: bool

    @property
    def opened(self) -> int:
        """How many connections were opened so far."""
        ...

    async def run(self, calls: Sequence[Call], replicas: int = 0) -> list[Any]:
        """Run scripts and return their answers, after so many replicas have them too.

        Where a script has failed, what to raise stands in the place of its answer.

        Raises:
            DriverError: all of them have failed in one way.
        """
        ...

    async def greet(self) -> Link:
        """Connect for the first time, to any primary; the caller closes the connection."""
        ...

    async def connect(self, key: bytes, anew: bool = False) -> Link:
        """Open a connection of one's own to where a key is; `anew` finds that out once more."""
        ...

    def slot(self, key: bytes) -> int:
        """Return a number that is the same for keys which one command may name."""
        ...

    async def close(self) -> None:
        """Close every connection; what runs on them fails."""
        ...


class Single:
    """One server, or the one that is the primary at the moment."""

    is_cluster = False

    def __init__(self, dial: Dial, size: int, where: str) -> None:
        self._dial = dial
        self._pool = Pool(dial, size, where)

    @property
    def opened(self) -> int:
        """How many connections were opened so far."""
        return self._pool.opened

    async def run(self, calls: Sequence[Call], replicas: int = 0) -> list[Any]:
        """Run scripts in one round trip and return their answers."""
        async with self._pool.link() as link:
            try:
                answers = await exchange(link, calls)
                if replicas and not any(isinstance(answer, ResponseError) for answer in answers):
                    await confirm(link, calls, replicas)
            except FAILURES as error:
                await self._pool.forget()
                raise translated(error, names_of(calls)) from error
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            await self._pool.forget()  # another server is the primary now
        return with_errors(answers, calls)

    async def greet(self) -> Link:
        """Connect for the first time."""
        return await self._dial()

    async def connect(self, key: bytes, anew: bool = False) -> Link:
        """Open a connection of one's own."""
        return await self._dial()

    def slot(self, key: bytes) -> int:
        """Return 0: all keys are in one place."""
        return 0

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()


def names_of(calls: Sequence[Call]) -> str:
    """Return the names of the scripts, for messages."""
    return ", ".join({call.script.name: None for call in calls})


def with_errors(answers: list[Any], calls: Sequence[Call]) -> list[Any]:
    """Return the answers, with what to raise in the place of each refusal."""
    if not any(isinstance(answer, ResponseError) for answer in answers):
        return answers
    names = names_of(calls)
    return [
        _caused(refused(answer, names), answer) if isinstance(answer, ResponseError) else answer
        for answer in answers
    ]


def raise_first(answers: Sequence[Any]) -> None:
    """Raise the first error among the answers, if there is one; one that stays goes before."""
    for answer in answers:
        if isinstance(answer, DriverError) and not isinstance(answer, DriverUnavailable):
            raise answer
    outages = [answer for answer in answers if isinstance(answer, DriverUnavailable)]
    if not outages:
        return
    first = outages[0]
    if len(outages) == len(answers) and not any(error.maybe_applied for error in outages):
        raise first
    raise DriverUnavailable(str(first), maybe_applied=True) from first.__cause__


def _caused(error: DriverError, cause: Exception) -> DriverError:
    error.__cause__ = cause
    return error


async def exchange(link: Link, calls: Sequence[Call], *first: Command) -> list[Any]:
    """Run scripts on a connection; refusals are among their answers.

    `first` are commands to be sent before each of them.
    """
    found = await talk(
        link, [part for call in calls for part in (*first, _by_name(call))], _ANSWER_SECONDS
    )
    step = len(first) + 1
    answers = found[step - 1 :: step]
    unknown = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if unknown:
        # The server was restarted, or another one took over: these have not run.
        again = [
            part
            for place in unknown
            for part in (_load(calls[place]), *first, _by_name(calls[place]))
        ]
        found = await talk(link, again, _ANSWER_SECONDS)
        for place, answer in zip(unknown, found[step :: step + 1], strict=True):
            answers[place] = answer
    return answers


async def confirm(link: Link, calls: Sequence[Call], replicas: int) -> None:
    """Wait until so many replicas have what was written on this connection, and all before it.

    Raises:
        DriverUnavailable: fewer have it, or that cannot be seen.
    """
    beside = calls[0].keys[0] + b":wait"  # in the same slot
    # A server waits only for what the same connection has written. A request that is sent again
    # writes nothing, so something is written that vanishes at once.
    mark = ("SET", beside, "", "PX", 1)
    wait = ("WAIT", replicas, int(_REPLICA_SECONDS * 1_000))
    written, count = await talk(link, [mark, wait], _ANSWER_SECONDS)
    for answer in (written, count):
        if isinstance(answer, NoPermissionError):
            raise answer
        if isinstance(answer, ResponseError):  # whatever it is, the jobs are there
            raise DriverUnavailable(
                f"it is stored, but the server does not tell whether replicas have it: {answer}",
                maybe_applied=True,
            ) from answer
    if count < replicas:
        raise DriverUnavailable(
            f"it is stored, but only {count} of {replicas} replicas have it after "
            f"{_REPLICA_SECONDS:.0f} s",
            maybe_applied=True,
        )


def _by_name(call: Call) -> Command:
    return ("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.args)


def _load(call: Call) -> Command:
    return ("SCRIPT", "LOAD", call.script.text)
