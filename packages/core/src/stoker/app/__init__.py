"""The application type and what it returns."""

from stoker.app.app import Stoker
from stoker.app.by_name import Namespace, Namespaces
from stoker.app.handle import JobHandle
from stoker.app.inspection import Inspection
from stoker.app.lifecycle import DEFAULT_RETENTION, Lifecycle

__all__ = [
    "DEFAULT_RETENTION",
    "Inspection",
    "JobHandle",
    "Lifecycle",
    "Namespace",
    "Namespaces",
    "Stoker",
]
