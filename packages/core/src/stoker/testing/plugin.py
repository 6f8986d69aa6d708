"""Fixtures for pytest, loaded through its entry point; nothing else here needs pytest."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from stoker.app import Stoker
from stoker.router import Routers
from stoker.testing.clock import ManualClock

__all__ = ["MakeApp", "manual_clock", "stoker_app"]


class MakeApp(Protocol):
    """Makes an app for a test: in memory, with the test's own clock."""

    def __call__(self, jobs: Routers, *, driver: Any = "memory://", **more: Any) -> Stoker[Any]:
        """Return an app that is not open yet; `more` goes to `Stoker`."""
        ...


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that stands still until the test moves it."""
    return ManualClock()


@pytest.fixture
def stoker_app(manual_clock: ManualClock) -> MakeApp:
    """A function that makes apps on `memory://` and `manual_clock`.

    Example::

        async def test_welcome(stoker_app):
            async with stoker_app([emails], context=fake) as app:
                await app.schedule(send_welcome_email, Welcome(...))
                await app.run_until_idle()
    """

    def make(jobs: Routers, *, driver: Any = "memory://", **more: Any) -> Stoker[Any]:
        return Stoker(driver, jobs=jobs, **{"clock": manual_clock, **more})  # type: ignore[call-overload,no-any-return]

    return make
