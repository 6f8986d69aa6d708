"""The driver with one small defect each, and the cases of the suite that must be red for it."""

from postgres_saboteurs import claiming, enqueueing, settling, times, transactions
from postgres_saboteurs.base import SABOTEURS, Changed, SaboteurHarness

__all__ = [
    "SABOTEURS",
    "Changed",
    "SaboteurHarness",
    "claiming",
    "enqueueing",
    "settling",
    "times",
    "transactions",
]
