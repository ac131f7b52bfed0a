"""A small job, and how a test runs one to its end."""

from dataclasses import replace

import pytest
import torch

from archsearch.architecture import resolve_architecture
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import Compute, EpochReport, Job, Result, train


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def small_job(**changes) -> Job:
    """A ResNet-8 on 300 digits; fields of the training go in `training`, of the data in `data`."""
    training = {"epochs": 2, "batch_size": 64} | changes.pop("training", {})
    data = {"train_limit": 300} | changes.pop("data", {})
    architecture = {"depth": 8, "width": 4} | changes.pop("architecture", {})
    job = Job(
        trial=3,
        seed=5,
        architecture=resolve_architecture(architecture),
        training=TrainingSettings(**training),
        data=DataSettings(**data),
        compute=Compute(),
    )
    return replace(job, **changes)


def run_job(job: Job, stop_after: int | None = None) -> tuple[list[EpochReport], Result]:
    """Train to the end, or ask to stop after so many epochs."""
    training = train(job)
    reports = []
    try:
        reports.append(next(training))
        while True:
            reports.append(training.send(len(reports) == stop_after))
    except StopIteration as end:
        return reports, end.value


def figures(reports: list[EpochReport], result: Result) -> list[dict[str, float]]:
    """All metrics but those of the clock and of the memory."""
    measured = {"images_per_s", "train_time_s", "peak_memory_mib", "latency_ms"}
    return [
        {name: value for name, value in metrics.items() if name not in measured}
        for metrics in (*(report.metrics for report in reports), result.metrics)
    ]
