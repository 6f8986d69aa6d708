"""The driver: one client that has all roles."""

from __future__ import annotations

from typing import Self
from urllib.parse import unquote, urlsplit

from stoker.errors import InvalidInput
from stoker_lmdb._admin import Administering
from stoker_lmdb._consume import Consuming
from stoker_lmdb._inspect import Inspecting


class LmdbDriver(Consuming, Inspecting, Administering):
    """Jobs in an LMDB environment, for the processes of one host.

    Args:
        path: the folder of the environment; it is made if its parent is there.
        map_size: the most bytes that the store may grow to. They are taken from the address
            space at once, and from the disk when they are needed.
    """

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return a driver for `lmdb:///folder`; an absolute path has four slashes.

        Raises:
            InvalidInput: for any other form of URL.
        """
        parts = urlsplit(url)
        if parts.netloc or parts.query or parts.fragment or len(parts.path) < 2:
            raise InvalidInput(f"{url!r}: write lmdb:///folder, or lmdb:////absolute/folder")
        return cls(unquote(parts.path[1:]))
