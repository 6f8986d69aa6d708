"""Faults on purpose: what stops clients, cuts their connections, or fails their operations."""

from stoker_conformance.faults.actors import Actor, ActorDied, ActorKilled, Stream
from stoker_conformance.faults.faulty import FailPoint, Failures, FaultyDriver
from stoker_conformance.faults.local import LocalActor
from stoker_conformance.faults.process import ProcessActor
from stoker_conformance.faults.proxy import FaultProxy, LinkFault

__all__ = [
    "Actor",
    "ActorDied",
    "ActorKilled",
    "FailPoint",
    "Failures",
    "FaultProxy",
    "FaultyDriver",
    "LinkFault",
    "LocalActor",
    "ProcessActor",
    "Stream",
]
