"""From settings to the executor that they ask for."""

from __future__ import annotations

from archsearch.execution.inline import InlineExecutor
from archsearch.execution.local import LocalExecutor
from archsearch.execution.machine import Devices, count_workers, find_devices
from archsearch.execution.protocol import Executor, Train
from archsearch.study.settings import ExecutionSettings
from archsearch.training import train as train_job


def build_executor(
    settings: ExecutionSettings, *, devices: Devices | None = None, train: Train = train_job
) -> Executor:
    """Return the executor of a study, not yet entered.

    Args:
        settings: Executor, number of workers, kind of device.
        devices: What `find_devices` found; looked up where not given.
        train: The training; archsearch's own where not given.

    Raises:
        StudyError: The machine has no device of the kind that is asked for.
    """
    devices = devices or find_devices(settings.device)
    if settings.executor == "inline":
        return InlineExecutor(train)
    return LocalExecutor(
        train,
        count_workers(settings, devices),
        visible_devices=devices.cuda,
        # What takes seconds to import, torch and Lightning, is imported once for all workers.
        preload=["archsearch.training.loop"] if train is train_job else (),
    )
