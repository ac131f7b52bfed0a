"""From settings to the executor that they ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archsearch.execution.inline import InlineExecutor
from archsearch.execution.limits import Limits
from archsearch.execution.local import LocalExecutor
from archsearch.execution.machine import Devices, choose_devices, count_workers, group_devices
from archsearch.execution.protocol import Executor, Train
from archsearch.execution.ray_cluster import Share, import_ray
from archsearch.study.settings import ExecutionSettings
from archsearch.training import train as train_job


def build_executor(
    settings: ExecutionSettings,
    *,
    devices: Devices | None = None,
    threads: int = 1,
    per_device: int = 1,
    train: Train | None = None,
) -> Executor:
    """Return the executor of a study, not yet entered.

    Args:
        settings: Executor, number of workers, kind of device, limits.
        devices: What `find_devices` found; looked up where not given.
        threads: Of one training, on a CPU: more of them leave cores for fewer workers.
        per_device: Workers that share a GPU, where the settings leave that open.
        train: The training; archsearch's own where not given.

    Raises:
        StudyError: The machine has no device of the kind that is asked for, or Ray is not installed.
    """
    devices = devices or choose_devices(settings)
    own = _Training(train) if train else _find_training(settings.devices_per_trial)
    limits = Limits.of(settings)
    if settings.executor == "inline":
        return InlineExecutor(own.train, own.close, limits=limits)
    if settings.executor == "ray":
        # Ray is an extra, and its executor loads the data, for which it needs torch.
        import_ray()
        from archsearch.execution.ray_executor import RayExecutor

        workers = None if settings.workers == "auto" else settings.workers
        share = find_share(settings, devices)
        return RayExecutor(own.train, share, workers=workers, address=settings.address, limits=limits)
    return LocalExecutor(
        own.train,
        count_workers(settings, devices, threads, per_device=per_device),
        visible_devices=group_devices(devices, settings.devices_per_trial),
        limits=limits,
        preload=own.preload,
    )


@dataclass(frozen=True)
class _Training:
    """A training; what workers import for it beforehand; what ends that which it keeps from job to job."""

    train: Train
    preload: tuple[str, ...] = ()
    close: Callable[[], None] = lambda: None


def _find_training(devices: int) -> _Training:
    """Return archsearch's own training, on one device or on several together."""
    if devices == 1:
        # What takes seconds to import, torch and Lightning, is imported once for all workers.
        return _Training(train_job, ("archsearch.training.loop",))
    # It needs torch.
    from archsearch.execution.together import TrainTogether

    together = TrainTogether(devices)
    return _Training(together, (TrainTogether.__module__,), together.close)


def find_share(settings: ExecutionSettings, devices: Devices) -> Share:
    """Return what a trial takes of a node: as set, else on GPUs its devices, and a CPU for each."""
    gpus = settings.gpus_per_trial
    if gpus is None:
        gpus = settings.devices_per_trial if devices.kind == "cuda" else 0
    return Share(settings.trial_cpus, gpus)
