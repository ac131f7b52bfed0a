"""Where jobs run: in this process, or in warm worker processes."""

from archsearch.execution.building import build_executor
from archsearch.execution.inline import InlineExecutor
from archsearch.execution.local import LocalExecutor
from archsearch.execution.machine import Devices, count_cores, count_threads, count_workers, find_devices
from archsearch.execution.protocol import Executor, Train

__all__ = [
    "Devices",
    "Executor",
    "InlineExecutor",
    "LocalExecutor",
    "Train",
    "build_executor",
    "count_cores",
    "count_threads",
    "count_workers",
    "find_devices",
]
