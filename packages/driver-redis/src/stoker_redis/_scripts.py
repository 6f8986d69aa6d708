"""The Lua scripts of the package, one operation a file.

The first lines of `lua/<name>.lua` say what the operation does, which keys it is given
(`-- Keys: meta runs streams`, the words of `stoker_redis._keys.PARTS`) and which arguments. What
several operations share stands in `lua/lib` (`-- Uses: run writes`). From these lines the text is
put together that the server sees: the keys as Lua variables (`META`, `RUNS`, and tables where a
word stands for several keys), the shared parts, the operation.

What stores nothing new runs on a server whose memory is full, too (`-- Flags: allow-oom`): its jobs
have to be extended, claimed and ended, or it would stay full and each of them would run twice.

Constants, which are capitals (`local SCHEDULED, READY = 0, 1`), are put where they are used. As
variables they would be found anew by every function each time that the script is run, which takes
longer than what a small script does.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Final

from stoker_redis._keys import PARTS

__all__ = ["Script"]

_FIRST: Final = {"streams": 0, "finished": 3, "aging": 3}
"""The first index of each table: priorities count from 0, states that are an end from 3."""

_COMMENT: Final = re.compile(r"(^|\s+)-- .*$")
_LITERAL: Final = r"(?:-?\d+|'[^']*')"
_CONSTANTS: Final = re.compile(rf"local ([A-Z_]+(?:, [A-Z_]+)*) = ({_LITERAL}(?:, {_LITERAL})*)")
_WORD: Final = re.compile(r"'[^']*'|\b[A-Z][A-Z_]*\b")
"""Text in quotes, which stays as it is, or what may be the name of a constant."""


class Script:
    """The script in `lua/<name>.lua`, and the name that a server knows it by.

    Scripts are made once, when a module is imported, and shared by all clients.
    """

    __slots__ = ("keys", "name", "sha", "text")

    def __init__(self, name: str) -> None:
        operation = _read(f"{name}.lua")
        self.name: Final = name
        self.keys: Final = tuple(_header(operation, "Keys"))
        """What it calls the keys that it is given, in their order."""
        shared = [_read(f"lib/{part}.lua") for part in _header(operation, "Uses")]
        code = _with_constants("\n".join([_variables(self.keys), *shared, operation]))
        flags = _header(operation, "Flags")
        self.text: Final = (f"#!lua flags={','.join(flags)}\n{code}" if flags else code).encode()
        self.sha: Final = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()

    def __repr__(self) -> str:
        return f"Script({self.name!r})"


def _header(text: str, word: str) -> list[str]:
    """Return the words after `-- word:`."""
    found = re.search(rf"^-- {word}: (.*)$", text, re.MULTILINE)
    return found[1].split() if found else []


def _variables(parts: tuple[str, ...]) -> str:
    """Return Lua that gives the keys their names."""
    lines: list[str] = []
    at = 1
    for part in parts:
        count = len(PARTS[part])
        if count == 1:
            lines.append(f"local {part.upper()} = KEYS[{at}]")
        else:
            first = _FIRST[part]
            table = ", ".join(f"[{first + n}] = KEYS[{at + n}]" for n in range(count))
            lines.append(f"local {part.upper()} = {{{table}}}")
        at += count
    return "\n".join(lines)


def _with_constants(text: str) -> str:
    """Return Lua without comments, in which constants are written out."""
    constants: dict[str, str] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        code = _COMMENT.sub("", line).rstrip()
        if definition := _CONSTANTS.fullmatch(code):
            names, values = (part.split(", ") for part in definition.groups())
            constants.update(zip(names, values, strict=True))
        elif code:
            lines.append(code)
    return _WORD.sub(lambda word: constants.get(word[0], word[0]), "\n".join(lines))


@cache
def _read(path: str) -> str:
    return files("stoker_redis").joinpath("lua", path).read_text(encoding="utf-8")
