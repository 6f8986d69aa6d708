"""Scheduling by name: `app.jobs.emails.schedule(task="welcome", input={...}, options={...})`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stoker.app.handle import JobHandle
from stoker.errors import UnknownJob
from stoker.router import CallOptions, Catalogue

if TYPE_CHECKING:
    from stoker.app.app import Stoker

__all__ = ["Namespace", "Namespaces"]


class Namespace:
    """The jobs of one router, by name."""

    def __init__(self, app: Stoker[Any], catalogue: Catalogue, name: str) -> None:
        self._app = app
        self._catalogue = catalogue
        self._name = name

    def __repr__(self) -> str:
        return f"<Namespace {self._name}>"

    async def schedule(
        self,
        task: str,
        input: Any = None,  # noqa: A002  what it is called everywhere in this project
        options: CallOptions | None = None,
        *,
        connection: Any = None,
    ) -> JobHandle[Any]:
        """Schedule a job of this namespace by its name.

        Args:
            task: the job's name within the namespace.
            input: its payload, or what validates as its payload, such as a dictionary.
            options: the options of this call, such as `{"delay": 5}`.
            connection: as in `Stoker.schedule`.

        Raises:
            UnknownJob: if there is no such job; and all that `Stoker.schedule` raises.
        """
        entry = self._catalogue.named(f"{self._name}.{task}")
        return await self._app.schedule(
            entry.job.call(input, **(options or {})), connection=connection
        )


class Namespaces:
    """The namespaces of an app, as attributes or by `[...]`."""

    def __init__(self, app: Stoker[Any], catalogue: Catalogue) -> None:
        self._app = app
        self._catalogue = catalogue

    def __getattr__(self, name: str) -> Namespace:
        try:
            return self[name]
        except UnknownJob as error:
            raise AttributeError(str(error)) from None

    def __getitem__(self, name: str) -> Namespace:
        if name not in self._catalogue.namespaces:
            known = ", ".join(self._catalogue.namespaces) or "none"
            raise UnknownJob(f"this app has no namespace {name!r}; it has: {known}")
        return Namespace(self._app, self._catalogue, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalogue.namespaces)
