"""A driver of Stoker on LMDB: one folder, several processes of one host, no server."""

from stoker_lmdb._driver import LmdbDriver

__all__ = ["LmdbDriver"]
