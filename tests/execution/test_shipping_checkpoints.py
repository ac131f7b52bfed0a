"""Checkpoints on their way between a Ray worker and the conductor's disk; no cluster is needed for that."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from archsearch.data import load_dataset
from archsearch.execution.ray_handle import _keep_checkpoint, _read_checkpoints
from archsearch.execution.ray_worker import RayWorker
from archsearch.execution.shipping import disassemble
from archsearch.training import EpochReport, Pack, train
from archsearch.training.values import Checkpointing
from tests.training.conftest import small_job


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def steps_of(worker, pack, most=100):
    """What a worker hands up, the conductor keeping what comes with it."""
    step = worker.begin(pack, disassemble(load_dataset(pack.jobs[0].data)), _read_checkpoints(pack))
    steps = []
    while step is not None and len(steps) < most:
        steps.append(step)
        event, content = step
        if isinstance(event, EpochReport):
            job = next(job for job in pack.jobs if job.replicate == event.replicate)
            _keep_checkpoint(job, content)
        step = worker.advance(frozenset())
    return steps


def make_pack(folder: Path, seeds):
    job = small_job(training={"epochs": 4}, architecture={"drop_path": 0.3})
    return Pack(
        tuple(
            replace(
                job,
                seed=seed,
                weights_path=str(folder / f"weights-{seed}"),
                checkpointing=Checkpointing(str(folder / f"state-{seed}"), every_s=0),
            )
            for seed in seeds
        )
    )


@pytest.mark.parametrize("seeds", [(5,), pytest.param((5, 6), marks=pytest.mark.slow)])
def test_another_worker_goes_on_where_a_lost_one_was(seeds, tmp_path):
    quiet, cut = (make_pack(tmp_path / name, seeds) for name in ("quiet", "cut"))
    undisturbed = steps_of(RayWorker(train), quiet)

    # of the worker's own disk nothing is left; its state is known when the next report has come
    steps_of(RayWorker(train), cut, most=3 * len(seeds))
    again = steps_of(RayWorker(train), cut)

    recalled = [e.epoch for e, _ in again if isinstance(e, EpochReport) and e.recalled and e.seed == 5]
    assert recalled == [0, 1]
    weights = [
        load(content) for event, content in (*undisturbed, *again) if not isinstance(event, EpochReport)
    ]
    for mine, other in zip(weights[: len(seeds)], weights[len(seeds) :], strict=True):
        assert all(torch.equal(mine[name], other[name]) for name in mine)
    # nothing is sent twice
    sent = [bool(content) for event, content in again if isinstance(event, EpochReport) and event.seed == 5]
    assert sent == [False, False, False, True]
