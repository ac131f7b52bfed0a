"""Where jobs run: in this process, in warm worker processes, or on the machines of a Ray cluster."""

from archsearch.execution.building import build_executor
from archsearch.execution.inline import InlineExecutor
from archsearch.execution.local import LocalExecutor
from archsearch.execution.machine import (
    Devices,
    choose_devices,
    choose_threads,
    count_cores,
    count_threads,
    count_workers,
    find_devices,
)
from archsearch.execution.protocol import Executor, Train

__all__ = [
    "Devices",
    "Executor",
    "InlineExecutor",
    "LocalExecutor",
    "Train",
    "build_executor",
    "choose_devices",
    "choose_threads",
    "count_cores",
    "count_threads",
    "count_workers",
    "find_devices",
]
