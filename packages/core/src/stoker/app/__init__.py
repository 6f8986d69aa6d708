"""The application type and what it returns."""

from stoker.app.app import DEFAULT_RETENTION, Stoker
from stoker.app.by_name import Namespace, Namespaces
from stoker.app.handle import JobHandle
from stoker.app.inspection import Inspection

__all__ = [
    "DEFAULT_RETENTION",
    "Inspection",
    "JobHandle",
    "Namespace",
    "Namespaces",
    "Stoker",
]
