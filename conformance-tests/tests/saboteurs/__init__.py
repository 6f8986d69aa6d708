"""Drivers with one small defect each, and the cases that must be red for them.

Each is the strict driver with a few operations overridden, written against the protocol alone.
"""

from saboteurs import (
    capabilities,
    claiming,
    enqueueing,
    inspecting,
    leases,
    scheduling,
    settling,
    shapes,
    transactions,
)
from saboteurs.base import SABOTEURS, Saboteur, harness_of, strict_of

__all__ = [
    "SABOTEURS",
    "Saboteur",
    "capabilities",
    "claiming",
    "enqueueing",
    "harness_of",
    "inspecting",
    "leases",
    "scheduling",
    "settling",
    "shapes",
    "strict_of",
    "transactions",
]
