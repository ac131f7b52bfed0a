"""Trainings that take no time and do what a job's learning rate and seed ask of them."""

import os
import signal
import sys
import time
import warnings

import torch

from archsearch.training.values import EpochReport, Result


def count(job):
    """Report as many epochs as asked; the metric tells who trained."""
    for epoch in range(job.training.epochs):
        time.sleep(job.data.noise)
        metrics = {"val_loss": 1.0 / (epoch + 1 + job.seed), "pid": float(os.getpid())}
        if (yield EpochReport(job.trial, job.seed, epoch, metrics)):
            return Result(job.trial, job.seed, "stopped", "stopped on request", epoch + 1, {})
    return Result(job.trial, job.seed, "complete", "", job.training.epochs, {"val_error": 0.5})


def linger(job):
    """Report at once, and take very long over the rest."""
    yield EpochReport(job.trial, job.seed, 0, {})
    time.sleep(600)


def misbehave(job):
    """Seed 1 raises, 2 leaves, 3 crashes, 4 speaks and aborts, 5 asks Python to exit; others count."""
    yield EpochReport(job.trial, job.seed, 0, {})
    if job.seed == 1:
        raise ValueError("a block of a plugin is wrong")
    if job.seed == 2:
        os._exit(3)
    if job.seed == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    if job.seed == 4:
        print("out of patience", file=sys.stderr, flush=True)
        os.abort()
    if job.seed == 5:
        sys.exit("I leave")
    return (yield from count(job))


def chatter(job):
    """Write more to both streams than a pipe holds, and warn."""
    for _ in range(300):
        print("x" * 1000, flush=True)
        print("y" * 1000, file=sys.stderr, flush=True)
    warnings.warn("deprecated", stacklevel=1)
    return (yield from count(job))


def threads(job):
    """Report the number of torch's threads and what the environment says."""
    metrics = {"threads": float(torch.get_num_threads()), "omp": float(os.environ["OMP_NUM_THREADS"])}
    metrics["device"] = float(os.environ.get("CUDA_VISIBLE_DEVICES", "-1"))
    yield EpochReport(job.trial, job.seed, 0, metrics)
    return Result(job.trial, job.seed, "complete", "", 1, {})
