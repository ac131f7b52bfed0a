"""Several workers on one GPU."""

from dataclasses import replace

from archsearch.execution import LocalExecutor
from archsearch.training import Compute, Result, train
from tests.devices import needs_cuda
from tests.training.conftest import run_job, small_job

CUDA = Compute(device="cuda")


def run(jobs, *, workers=2, device="0"):
    """Run jobs in workers that share a GPU; results by trial, in the order in which they came."""
    results = {}
    preload = ["archsearch.training.loop"]
    with LocalExecutor(train, workers, visible_devices=(device,), preload=preload) as executor:
        for job in jobs:
            executor.submit(job)
        while (event := executor.wait(120)) is not None:
            if isinstance(event, Result):
                results[event.trial] = event
    return results


@needs_cuda
def test_workers_that_share_a_gpu_train_as_one_alone_does():
    jobs = [replace(small_job(compute=CUDA), trial=trial) for trial in range(4)]

    results = run(jobs)

    expected = run_job(jobs[0])[1].metrics["train_loss"]
    assert [results[trial].outcome for trial in range(4)] == ["complete"] * 4
    for result in results.values():
        assert abs(result.metrics["train_loss"] - expected) < 0.05 * expected


@needs_cuda
def test_out_of_memory_in_one_worker_harms_neither_its_neighbour_nor_itself():
    # 2,000 images of 1,024 channels: 8 GiB for each of the first layers
    too_large = small_job(
        compute=CUDA,
        data={"name": "synthetic", "samples": 4000, "train_limit": 2000},
        architecture={"width": 1024},
        training={"batch_size": 2000, "epochs": 1},
    )
    neighbour = replace(small_job(compute=CUDA, training={"epochs": 60}), trial=1)
    jobs = [replace(too_large, trial=0), neighbour, replace(too_large, trial=2), replace(neighbour, trial=3)]

    results = run(jobs)

    for trial in (0, 2):
        assert (results[trial].outcome, results[trial].reason) == ("failed", "out of memory")
    for trial in (1, 3):
        assert (results[trial].outcome, results[trial].epochs) == ("complete", 60)
