"""An application that indexes documents: one job a file, and a few that show what jobs can do.

`demo.py` schedules its jobs in one process; `stoker worker documents:application` runs them in
another one. Jobs run at least once, so whatever they write is keyed by what it is about: doing it
again changes nothing.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections import Counter
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel

from stoker import Delays, Fixed, JobRun, Retention, Router, Snooze, Stoker
from stoker.driver import Driver

LEFT_OUT = {"__pycache__", "node_modules"}
WORD = re.compile(r"[^\W\d_]{4,}")

SCHEMA = """
create table if not exists documents (
    path text primary key, digest text not null, lines integer not null, words integer not null
) without rowid;
create table if not exists terms (
    path text not null, term text not null, count integer not null, primary key (path, term)
) without rowid;
"""


class Document(BaseModel):
    """A file to be indexed."""

    path: Path


class Counts(BaseModel):
    """What was counted in a file, or in all of them."""

    lines: int
    words: int


class Corpus(BaseModel):
    """What a report is about: it waits until so many files are indexed."""

    files: int


class Report(BaseModel):
    """What the index holds."""

    files: int
    lines: int
    words: int
    top_terms: list[tuple[str, int]]


class Index:
    """The index of all documents: a small SQLite database of this example's own.

    Each use has a connection of its own, so it may be used from any thread and process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(self._connect()) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.executescript(SCHEMA)

    def put(self, path: Path, digest: str, counts: Counts, terms: Counter[str]) -> None:
        """Store what is known of a file, in place of what was known before."""
        name = str(path)
        with closing(self._connect()) as connection, connection:
            connection.execute("delete from terms where path = ?", [name])
            connection.executemany(
                "insert into terms values (?, ?, ?)",
                [(name, term, count) for term, count in terms.items()],
            )
            connection.execute(
                "insert or replace into documents values (?, ?, ?, ?)",
                [name, digest, counts.lines, counts.words],
            )

    def size(self) -> int:
        """Return how many files are indexed."""
        with closing(self._connect()) as connection:
            (count,) = connection.execute("select count(*) from documents").fetchone()
        return int(count)

    def digests(self) -> dict[Path, str]:
        """Return which content of each file was indexed."""
        with closing(self._connect()) as connection:
            rows = connection.execute("select path, digest from documents").fetchall()
        return {Path(path): digest for path, digest in rows}

    def report(self) -> Report:
        """Add everything up."""
        with closing(self._connect()) as connection:
            files, lines, words = connection.execute(
                "select count(*), coalesce(sum(lines), 0), coalesce(sum(words), 0) from documents"
            ).fetchone()
            top = connection.execute(
                "select term, sum(count) as total from terms group by term "
                "order by total desc, term limit 10"
            ).fetchall()
        return Report(files=files, lines=lines, words=words, top_terms=top)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30)
        # A power failure may cost the last moments of the index, which can be made again.
        connection.execute("pragma synchronous = normal")
        return connection


def find_documents(folder: Path) -> list[Path]:
    """Return the text files of a folder, those in hidden folders and caches left out."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir() and path.name not in LEFT_OUT:
            found += find_documents(path)
        elif path.is_file() and is_text(path):
            found.append(path)
    return found


def is_text(path: Path) -> bool:
    """Whether a file can be read, and looks like text."""
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(4096)
    except OSError:
        return False


documents = Router[Index]("documents", attempts=3, backoff=Fixed(0.5))


@documents.job
def index_file(document: Document, index: Index) -> Counts:
    """Read one file and index it. A plain function: it runs in a thread."""
    lines = words = 0
    terms: Counter[str] = Counter()
    digest = sha256()
    with document.path.open("rb") as file:
        for raw in file:
            digest.update(raw)
            line = raw.decode(errors="replace")
            lines += 1
            words += len(line.split())
            terms.update(WORD.findall(line.lower()))
    counts = Counts(lines=lines, words=words)
    index.put(document.path, digest.hexdigest(), counts, terms)
    return counts


@documents.job(backoff=Delays(0.2, 0.4))
async def ask_dictionary(word: str, index: Index, job: JobRun) -> int:
    """Stand for a service that is out of order twice and then answers. Returns the attempt."""
    if job.attempt < 3:
        raise ConnectionError(f"the dictionary did not answer (attempt {job.attempt})")
    return job.attempt


@documents.job
async def remind(text: str) -> str:
    """Be scheduled with a delay."""
    return text


@documents.job(priority=0)
async def report(corpus: Corpus, index: Index) -> Report:
    """Report when all files are indexed; until then, come again. That costs no attempt."""
    if index.size() < corpus.files:
        raise Snooze(0.1)
    return index.report()


def create(
    store: str | Driver, index: Path, *, prefix: str = "", worker_inside: bool = False
) -> Stoker[Index]:
    """Return the application: its jobs are in `store`, what they find out is in `index`."""
    return Stoker(
        store,
        jobs=[documents],
        context=Index(index),
        prefix=prefix,
        # Everything is kept, so that the demo can check it.
        retention=Retention(),
        autostart_worker=worker_inside,
    )


def application() -> Stoker[Index]:
    """Return the application that the environment describes; `stoker worker` calls this."""
    return create(
        os.environ.get("DOCUMENTS_STORE", "sqlite:///documents-jobs.db"),
        Path(os.environ.get("DOCUMENTS_INDEX", "documents.db")),
        prefix=os.environ.get("DOCUMENTS_PREFIX", ""),
    )
