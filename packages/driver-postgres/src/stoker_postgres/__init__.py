"""The PostgreSQL driver of Stoker: jobs beside your data, in your transactions."""

from stoker_postgres._driver import PostgresDriver

__all__ = ["PostgresDriver"]
