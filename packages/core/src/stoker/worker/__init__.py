"""The worker: claims jobs, runs them, settles them, and looks after the store."""

from stoker.worker.define import store_definitions
from stoker.worker.drain import run_until_idle
from stoker.worker.options import WorkerOptions
from stoker.worker.site import Site
from stoker.worker.worker import Worker

__all__ = ["Site", "Worker", "WorkerOptions", "run_until_idle", "store_definitions"]
