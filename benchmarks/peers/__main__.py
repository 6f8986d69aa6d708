"""Run the program of a peer: `python -m benchmarks.peers pgqueuer --url ... --concurrency 100`."""

import sys
from importlib import import_module

import_module(f"benchmarks.peers.{sys.argv.pop(1)}").main()
