"""Running one case against one harness; everything that runs cases goes through here."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from stoker.driver import Scope
from stoker_conformance.bench import Bench, Level
from stoker_conformance.case import Case
from stoker_conformance.expect import Violation
from stoker_conformance.harness import Harness

__all__ = ["NotRequired", "run_case"]

_GRACE: Final = 5.0


_SCOPES: Final = tuple(Scope)


class NotRequired(Exception):
    """The driver does not declare what the case needs: a capability (SHP-05 tests its refusal), or
    a scope (SHP-10 tests that it is not understated)."""


async def run_case(case: Case, harness: Harness[Any], level: Level = Level.FAST) -> tuple[str, ...]:
    """Run `case` in a namespace of its own; return when the driver passes, with the remarks.

    Raises:
        Violation: the driver fails, or takes longer than the case's bound.
        Inconclusive: what was seen proves nothing.
        NotRequired: the driver does not declare what the case needs.
    """
    running = asyncio.create_task(_run(case, harness, level), name=case.id)
    done, _ = await asyncio.wait([running], timeout=case.bound)
    if done:
        return running.result()
    running.cancel()
    # A driver that swallows the cancel is left behind: a stuck case must not stop the run.
    done, _ = await asyncio.wait([running], timeout=_GRACE)
    cause = running.exception() if done and not running.cancelled() else None
    limit = f"an end within {case.bound:g} s"
    raise Violation("how long the case takes", limit, "no end by then") from cause


async def _run(case: Case, harness: Harness[Any], level: Level) -> tuple[str, ...]:
    bench = Bench(harness, await harness.namespace(), level)
    try:
        await bench.prepare()
        missing = [need for need in case.needs if need not in bench.info.capabilities]
        if missing:
            raise NotRequired(f"{bench.info.name} does not declare {', '.join(missing)}")
        if _SCOPES.index(bench.info.scope) < _SCOPES.index(case.scope):
            raise NotRequired(f"the scope of {bench.info.name} is the {bench.info.scope}")
        await case.body(bench)
    except BaseException as red:
        try:
            await bench.close()
        except Exception as error:  # noqa: BLE001 - the first error is the one to look at
            red.add_note(f"Afterwards, closing failed too: {error!r}")
        raise
    await bench.close()
    return tuple(bench.remarks)
