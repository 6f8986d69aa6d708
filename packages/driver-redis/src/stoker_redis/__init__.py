"""Stoker's driver for Redis and Valkey."""

from stoker_redis._driver import RedisDriver

__all__ = ["RedisDriver"]
