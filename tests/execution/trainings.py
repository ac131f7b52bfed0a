"""Trainings that take no time and do what a job's learning rate and seed ask of them."""

import functools
import os
import re
import signal
import sys
import time
import warnings
from pathlib import Path

import torch
from threadpoolctl import threadpool_info

from archsearch.data import load_dataset
from archsearch.training.values import EpochReport, Pack, Result


def takes_packs(train):
    """Train a pack's jobs in turns, an epoch of each."""

    @functools.wraps(train)
    def train_work(work):
        if not isinstance(work, Pack):
            return (yield from train(work))
        answers = dict.fromkeys(map(train, work.jobs))
        while True:
            for training, answer in list(answers.items()):
                try:
                    event = training.send(answer)
                except StopIteration as end:
                    del answers[training]
                    if not answers:
                        return end.value
                    yield end.value
                else:
                    answers[training] = yield event

    return train_work


@takes_packs
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


@takes_packs
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
    """Report the threads of torch and of every library for linear algebra, and what the environment says."""
    metrics = {"threads": float(torch.get_num_threads()), "omp": float(os.environ["OMP_NUM_THREADS"])}
    metrics["interop"] = float(torch.get_num_interop_threads())
    metrics["blas"] = float(
        max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
    )
    metrics["device"] = float(os.environ.get("CUDA_VISIBLE_DEVICES", "-1"))
    yield EpochReport(job.trial, job.seed, 0, metrics)
    return Result(job.trial, job.seed, "complete", "", 1, {})


def look_at_data(job):
    """Report whether the images lie in the memory that Ray's object store shares between processes."""
    address = load_dataset(job.data).train.images.data_ptr()
    spans = [line.split()[0] for line in Path("/proc/self/maps").read_text().splitlines() if "plasma" in line]
    ends = [[int(end, 16) for end in span.split("-")] for span in spans]
    found = any(low <= address < high for low, high in ends)
    yield EpochReport(job.trial, job.seed, 0, {"in the store": float(found)})
    return Result(job.trial, job.seed, "complete", "", 1, {})


def name_device(job):
    """Report, until stopped, which CUDA device the process may use."""
    for epoch in range(job.training.epochs):
        time.sleep(job.data.noise)
        metrics = {"device": float(os.environ["CUDA_VISIBLE_DEVICES"])}
        if (yield EpochReport(job.trial, job.seed, epoch, metrics)):
            break
    return Result(job.trial, job.seed, "stopped", "", epoch + 1, {})


def hang_or_count(job):
    """Seed 1 reports nothing for very long; others count."""
    if job.seed == 1:
        time.sleep(600)
    return (yield from count(job))


def hold_everything(job):
    """Compute for very long in code that lets no other thread of the process run."""
    re.match("(a+)+$", "a" * 60 + "b")
    yield EpochReport(job.trial, job.seed, 0, {})
