"""Count again what the jobs have counted, in another way and all in one place.

The demo compares the two. So this module shares nothing with `documents.py`: it walks the folder
by itself, reads each file in one piece, and cuts words out of it the other way round.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

_NOT_LETTERS = re.compile(r"[\W\d_]+")


@dataclass
class Recount:
    """What a folder holds."""

    digests: dict[Path, str] = field(default_factory=dict[Path, str])
    lines: int = 0
    words: int = 0
    terms: Counter[str] = field(default_factory=Counter[str])

    def top_terms(self, number: int) -> list[tuple[str, int]]:
        """Return the most frequent terms; of equally frequent ones, the first in the alphabet."""
        return sorted(self.terms.items(), key=lambda item: (-item[1], item[0]))[:number]


def recount(folder: Path) -> Recount:
    """Count the text files of a folder, those in hidden folders and caches left out."""
    total = Recount()
    for place, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if name[0] != "." and name not in ("__pycache__", "node_modules")
        ]
        for name in files:
            path = Path(place, name)
            if name[0] != "." and path.is_file() and not path.is_symlink():
                _add(total, path)
    return total


def _add(total: Recount, path: Path) -> None:
    try:
        data = path.read_bytes()
    except OSError:
        return
    if b"\0" in data[:4096]:
        return
    text = data.decode("utf-8", errors="replace")
    total.digests[path] = hashlib.sha256(data).hexdigest()
    total.lines += data.count(b"\n") + (data[-1:] not in (b"", b"\n"))
    total.words += len(text.split())
    total.terms.update(term for term in _NOT_LETTERS.split(text.lower()) if len(term) >= 4)
