"""The command `stoker-conformance`.

From the bottom up::

    _driving    pytest, in this process, whatever the folder holds
    _live       what is shown while cases run
    _closing    what is shown at the end
    _run        the command `run`
    _scaffold   a new package, from the templates beside it
    _init       the command `init`
    _listing    the commands `cases`, `clauses` and `show`
    _contract   the clauses as a page of Markdown
    _matrix     the command `matrix`
    _main       the group that they belong to
"""

from stoker_conformance.cli._main import main

__all__ = ["main"]
