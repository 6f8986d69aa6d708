"""How much one script does. While it runs, the server does nothing else."""

from typing import Final

__all__ = ["MOST_BYTES", "MOST_JOBS"]

MOST_JOBS: Final = 1_000
"""So many jobs of a queue are touched by one script, whatever is asked."""
MOST_BYTES: Final = 16 * 1024 * 1024
"""So many bytes of jobs are answered by one script; a single job may have more."""
