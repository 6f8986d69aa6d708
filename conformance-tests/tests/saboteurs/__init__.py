"""Drivers with one small defect each, and the cases that must be red for them.

Each is the strict driver with a few operations overridden, written against the protocol alone.
"""

from saboteurs import (
    capabilities,
    claiming,
    enqueueing,
    inspecting,
    joining,
    leases,
    lenient,
    modelled,
    moments,
    networks,
    processes,
    races,
    resending,
    running,
    scheduling,
    settling,
    shapes,
    statements,
    transactions,
)
from saboteurs.base import SABOTEURS, Saboteur, harness_of, run_against, strict_of

__all__ = [
    "SABOTEURS",
    "Saboteur",
    "capabilities",
    "claiming",
    "enqueueing",
    "harness_of",
    "inspecting",
    "joining",
    "leases",
    "lenient",
    "modelled",
    "moments",
    "networks",
    "processes",
    "races",
    "resending",
    "run_against",
    "running",
    "scheduling",
    "settling",
    "shapes",
    "statements",
    "strict_of",
    "transactions",
]
