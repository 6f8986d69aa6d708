"""The command `stoker`: runs workers, shows what a store holds, brings its schema up to date.

From the bottom up::

    _failures              what goes wrong, as one clear line and an exit code
    _loading               from `module:app` to an application
    _logs                  where messages go, as text or as JSON
    _signals, _watchdog    how a worker is told to end, and the certainty that it does
    _running               a worker's process from its first line to its exit code
    _snapshot, _tables     what a store holds, and how a person reads it
    _worker, _status, _migrate
                           the commands: their options, and nothing else
    _main                  the group that they belong to
"""

from stoker_cli._main import main

__all__ = ["main"]
