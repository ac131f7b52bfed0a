"""From settings to the executor that they ask for."""

from __future__ import annotations

from archsearch.execution.inline import InlineExecutor
from archsearch.execution.local import LocalExecutor
from archsearch.execution.machine import Devices, count_workers, find_devices
from archsearch.execution.protocol import Executor, Train
from archsearch.study.settings import ExecutionSettings


def build_executor(
    settings: ExecutionSettings, *, devices: Devices | None = None, train: Train | None = None
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
    if train is None:
        from archsearch.training import train as lightning_train

        train = lightning_train
    if settings.executor == "inline":
        return InlineExecutor(train)
    return LocalExecutor(train, count_workers(settings, devices), visible_devices=devices.cuda)
