"""One training by several processes, a device each: who they are, how they find each other, their Fabric.

The rules:

- `batch_size` is the whole batch's. Order and augmentation follow from seed and epoch as with one process,
  and each rank takes its share of every batch; the learning rate stays as it is.
- Gradients are those of the mean loss over the whole batch, whatever the shares.
- Batch norm takes its statistics over the whole batch, on a CPU by `SharedBatchNorm`, on CUDA by torch's
  `SyncBatchNorm`. So N ranks come to the weights of one process, up to rounding.
- Dropout and drop_path draw on each rank from its own stream of (seed, epoch, rank): the same number of ranks
  draws the same again, another number does not.
- Ranks decide nothing: what they could disagree on is added up first, so that they end alike.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from functools import cache

import psutil
import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy

from archsearch.training.evaluation import build_precision, settle_arithmetic
from archsearch.training.loop import train
from archsearch.training.values import EpochReport, Job, Result, Seat

_LOOPBACK = "127.0.0.1"
_BACKENDS = {"cpu": "gloo", "cuda": "nccl"}


def train_share(job: Job, seat: Seat) -> Generator[EpochReport | Result, bool | None, Result]:
    """Train a job as one of several ranks; each of them must be sent the same answers.

    Everyone yields the same reports, up to what is measured by the clock.
    """
    return train(job, build_shared_fabric(seat, job.compute.device, job.compute.precision))


@cache
def build_shared_fabric(seat: Seat, device: str, precision: str) -> Fabric:
    """Join the others, and build the Fabric of this rank's device."""
    settle_arithmetic(device)
    _meet(seat, device)
    strategy = DDPStrategy(
        cluster_environment=_Seated(seat),
        process_group_backend=_BACKENDS[device],
        # Batch norm's are the same on all ranks already.
        broadcast_buffers=False,
        # The same graph in every step; a parameter outside it is no error, as with one process.
        static_graph=True,
    )
    fabric = Fabric(
        accelerator=device,
        devices=seat.ranks,
        strategy=strategy,
        plugins=[build_precision(device, precision)],
    )
    fabric.launch()
    return fabric


def _meet(seat: Seat, device: str) -> None:
    if dist.is_initialized():
        return
    loopback = next(
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(address.address == _LOOPBACK for address in addresses)
    )
    # Else gloo asks a name server where this machine is.
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = loopback
    if device == "cuda":
        torch.cuda.set_device(seat.rank)
    store = dist.TCPStore(_LOOPBACK, seat.port, is_master=False)  # type: ignore[attr-defined]
    dist.init_process_group(_BACKENDS[device], store=store, rank=seat.rank, world_size=seat.ranks)


class _Seated(ClusterEnvironment):
    """Tells Lightning which rank this is, so that it starts no process and reads no variable."""

    def __init__(self, seat: Seat) -> None:
        super().__init__()
        self._seat = seat

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return _LOOPBACK

    @property
    def main_port(self) -> int:
        return self._seat.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._seat.ranks

    def set_world_size(self, size: int) -> None:
        assert size == self._seat.ranks

    def global_rank(self) -> int:
        return self._seat.rank

    def set_global_rank(self, rank: int) -> None:
        assert rank == self._seat.rank

    def local_rank(self) -> int:
        return self._seat.rank

    def node_rank(self) -> int:
        return 0
