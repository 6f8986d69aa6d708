"""Where and with what a benchmark ran."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version

from benchmarks.harness.bench import Bench
from benchmarks.harness.peer import Participant

__all__ = ["environment", "introductions"]


def environment(bench: Bench, server: str, versions: dict[str, str]) -> dict[str, str]:
    """Return what belongs at the head of a report."""
    loop = f"uvloop {version('uvloop')}" if bench.plan.uvloop else "asyncio's own event loop"
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {loop}",
        "server": server,
        "versions": ", ".join(f"{name} {versions[name]}" for name in sorted(versions)),
    }


async def introductions(
    bench: Bench, participants: Iterable[Participant]
) -> tuple[dict[str, str], dict[str, str]]:
    """Ask every participant how it is set up; return that, and all versions."""
    configurations: dict[str, str] = {}
    versions: dict[str, str] = {}
    for who in participants:
        async with bench.process(who, await bench.store.fresh()) as peer:
            hello = await peer.ask("hello")
        jobs = f"; {bench.plan.jobs // who.share:,} jobs" if who.share > 1 else ""
        configurations[who.name] = hello["configuration"] + jobs
        versions |= hello["versions"]
    return configurations, versions
