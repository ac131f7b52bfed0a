"""What a rank does in tests: little, and wrong where the job's seed asks for it."""

import os
import signal
import sys
import time

import torch
import torch.distributed as dist

from archsearch.training.distributed import build_shared_fabric
from archsearch.training.values import EpochReport, Result


def meet(job, seat):
    """Report who is there, and what each rank was told; the others wait for whoever comes late."""
    build_shared_fabric(seat, "cpu", "32")
    for epoch in range(job.training.epochs):
        time.sleep(job.data.noise)
        pids = [None] * seat.ranks
        dist.all_gather_object(pids, os.getpid())
        metrics = {f"pid {rank}": float(pid) for rank, pid in enumerate(pids)}
        metrics |= {"threads": float(job.compute.threads)}
        if (yield EpochReport(job.trial, job.seed, epoch, metrics)):
            return Result(job.trial, job.seed, "stopped", f"rank {seat.rank}", epoch + 1, {})
    return Result(job.trial, job.seed, "complete", "", job.training.epochs, {"rank": float(seat.rank)})


def misbehave(job, seat):
    """Report once, and then do what the seed says; as a rule rank 1 does, and the others wait for it."""
    build_shared_fabric(seat, "cpu", "32")
    yield EpochReport(job.trial, job.seed, 0, {})
    if job.seed == 1 and seat.rank == 1:
        raise ValueError("only here")
    if job.seed == 2 and seat.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if job.seed == 3 and seat.rank == 1:
        print("out of patience", file=sys.stderr, flush=True)
        os._exit(3)
    if job.seed == 4:
        time.sleep(0.3 * seat.rank)
        raise ValueError("everywhere")
    if job.seed == 5:
        if seat.rank == 0:
            raise RuntimeError("connection closed by peer")
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    dist.all_reduce(torch.zeros(1))
    return Result(job.trial, job.seed, "complete", "", 1, {"pid": float(os.getpid())})


def wait_for_ever(job, seat):
    """Tell all process ids, and have rank 0 wait for the others in a collective."""
    fabric = build_shared_fabric(seat, "cpu", "32")
    pids = [None] * seat.ranks
    dist.all_gather_object(pids, os.getpid())
    yield EpochReport(job.trial, job.seed, 0, {str(rank): float(pid) for rank, pid in enumerate(pids)})
    if seat.rank == 0:
        fabric.barrier()
    time.sleep(600)
