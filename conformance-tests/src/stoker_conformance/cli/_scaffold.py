"""A new package, from the templates beside this file.

A template is a file as it will be, with `@package@` and the like where names go. Templates end in
`.tmpl`, so that no tool takes them for code of this package. The folder `_package` gets the name of
the package, and `_github` begins with a dot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self

__all__ = ["BadName", "Names", "write_package"]

_TEMPLATES: Final = Path(__file__).with_name("templates")
_LONGEST: Final = 30
_TAKEN: Final = ("cli", "conformance", "memory", "postgres", "redis", "sqlite")


class BadName(ValueError):
    """A name that no package can have; the message says which can."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a driver is called, wherever it has to have a name."""

    scheme: str
    """Of its URLs: `my-store`."""
    project: str
    """`stoker-my-store`."""
    package: str
    """`stoker_my_store`."""
    cls: str
    """What its classes begin with: `MyStore`."""

    @classmethod
    def of(cls, name: str) -> Self:
        """Return the names that follow from the one that an author gave.

        Raises:
            BadName: if there is no package of such a name.
        """
        scheme = name.lower().replace("_", "-").removeprefix("stoker-")
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", scheme) or len(scheme) > _LONGEST:
            raise BadName(
                f"{name!r} is no name for a driver: letters, digits and single dashes, "
                f"at most {_LONGEST} of them, a letter first, for example lmdb or my-store"
            )
        if scheme in _TAKEN:
            raise BadName(f"stoker-{scheme} is a package of Stoker: give the driver another name")
        parts = scheme.split("-")
        return cls(
            scheme=scheme,
            project=f"stoker-{scheme}",
            package=f"stoker_{'_'.join(parts)}",
            cls="".join(part.capitalize() for part in parts),
        )


def write_package(names: Names, folder: Path) -> list[Path]:
    """Write a package into `folder`; return the files, relative to it."""
    values = {
        "scheme": names.scheme,
        "project": names.project,
        "package": names.package,
        "cls": names.cls,
        "range": _range(version("stoker-conformance")),
    }
    folders = {"_package": names.package, "_github": ".github"}
    written = []
    for template in sorted(_TEMPLATES.rglob("*.tmpl")):
        parts = template.relative_to(_TEMPLATES).with_suffix("").parts
        path = Path(*(folders.get(part, part) for part in parts))
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(_fill(template.read_text("utf-8"), values), encoding="utf-8")
        written.append(path)
    return written


def _fill(text: str, values: dict[str, str]) -> str:
    """Put the names in; one that is not known is an error of the template."""
    return re.sub(r"@([a-z]+)@", lambda match: values[match[1]], text)


def _range(installed: str) -> str:
    """Return which versions of our packages a driver that is begun now works with."""
    major, minor = installed.split(".")[:2]
    return f">={major}.{minor},<{major}.{int(minor) + 1}"
