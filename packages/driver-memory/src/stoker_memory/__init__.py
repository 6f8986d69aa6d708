"""The in-process driver of Stoker, for tests and single-process applications.

It is also the readable reference of the driver contract: one small module for each idea, and no
datastore in the way. From the bottom up::

    _heap, _order, _times      ordered structures without stalls; whole microseconds
    _job, _keys                a job and a unique key, as the store holds them
    _queue                     one queue: where its jobs are, and every move between places
    _hints                     who is to be woken
    _store                     everything that the clients of one store share
    _enqueue, _leases, _reap,  the rules of the operations
    _admin, _purge, _inspect,
    _schedules, _presence
    _driver                    the thin asynchronous surface: checks, lock, delegation
"""

from stoker_memory._driver import MemoryDriver

__all__ = ["MemoryDriver"]
