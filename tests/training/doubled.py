"""Ranks that train in float64, or show what each of them comes to."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from archsearch.training import group, loop
from archsearch.training.distributed import build_shared_fabric, train_share
from archsearch.training.weights import save_weights


def train_share_in_double(job, seat):
    """Train in float64 (what becomes a float becomes a double), in a process that is for nothing else."""
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)
    return (yield from train_share(job, seat))


def train_share_and_tell(job, seat):
    """Train, and have every rank save its weights and its last seed, and what it saves of its own accord."""

    class Telling(group.Group):
        def finish(self, job):
            network = self.replicates[0].module.network
            tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            # of the global generator: as it was seeded for the last epoch's draws
            tensors["seed"] = torch.tensor(torch.initial_seed() % 2**62)
            save_file(tensors, f"{job.weights_path}.of-{seat.rank}")
            return super().finish(job)

    def save(network, path):
        save_weights(network, path)
        Path(f"{path}.by-{seat.rank}").touch()

    originals = loop.Group, group.save_weights
    loop.Group, group.save_weights = Telling, save
    try:
        fabric = build_shared_fabric(seat, job.compute.device, job.compute.precision)
        return (yield from loop.train(job, fabric))
    finally:
        loop.Group, group.save_weights = originals
