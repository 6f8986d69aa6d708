"""The embedded, durable driver of Stoker: one SQLite file."""

from stoker_sqlite._driver import SqliteDriver

__all__ = ["SqliteDriver"]
