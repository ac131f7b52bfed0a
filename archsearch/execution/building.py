"""From settings to the executor that they ask for."""

from __future__ import annotations

from archsearch.execution.inline import InlineExecutor
from archsearch.execution.local import LocalExecutor
from archsearch.execution.machine import Devices, choose_devices, count_workers
from archsearch.execution.protocol import Executor, Train
from archsearch.execution.ray_cluster import Share, import_ray
from archsearch.study.settings import ExecutionSettings
from archsearch.training import train as train_job


def build_executor(
    settings: ExecutionSettings,
    *,
    devices: Devices | None = None,
    threads: int = 1,
    train: Train = train_job,
) -> Executor:
    """Return the executor of a study, not yet entered.

    Args:
        settings: Executor, number of workers, kind of device.
        devices: What `find_devices` found; looked up where not given.
        threads: Of one training, on a CPU: more of them leave cores for fewer workers.
        train: The training; archsearch's own where not given.

    Raises:
        StudyError: The machine has no device of the kind that is asked for, or Ray is not installed.
    """
    devices = devices or choose_devices(settings)
    if settings.executor == "inline":
        return InlineExecutor(train)
    if settings.executor == "ray":
        # Ray is an extra, and its executor loads the data, for which it needs torch.
        import_ray()
        from archsearch.execution.ray_executor import RayExecutor

        workers = None if settings.workers == "auto" else settings.workers
        return RayExecutor(train, find_share(settings, devices), workers=workers, address=settings.address)
    return LocalExecutor(
        train,
        count_workers(settings, devices, threads),
        visible_devices=devices.cuda,
        # What takes seconds to import, torch and Lightning, is imported once for all workers.
        preload=["archsearch.training.loop"] if train is train_job else (),
    )


def find_share(settings: ExecutionSettings, devices: Devices) -> Share:
    """Return what a trial takes of a node: as set, else one CPU and on GPUs its devices."""
    gpus = settings.gpus_per_trial
    if gpus is None:
        gpus = settings.devices_per_trial if devices.kind == "cuda" else 0
    return Share(settings.cpus_per_trial, gpus)
