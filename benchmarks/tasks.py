"""The sweeps that every stack of the overhead benchmark trains, and the networks and images they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn

from archsearch.architecture import resolve_architecture
from archsearch.data import Dataset, load_dataset
from archsearch.models import build_network
from archsearch.study.settings import DataSettings


class Training(NamedTuple):
    """One training of a sweep."""

    depth: int
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class Task:
    """A sweep of residual networks over depths, learning rates and seeds.

    Attributes:
        learning_rates: Peaks of a one-cycle schedule of the rate alone; SGD with momentum 0.9 and weight
            decay 1e-4.
        batch_size: Images a step.
    """

    name: str
    data: DataSettings
    depths: tuple[int, ...]
    width: int
    seeds: tuple[int, ...]
    epochs: int
    learning_rates: tuple[float, ...] = (0.1,)
    batch_size: int = 64

    def trainings(self) -> Iterator[Training]:
        """Each training once."""
        return map(Training._make, product(self.depths, self.learning_rates, self.seeds))

    def network(self, depth: int, dataset: Dataset) -> nn.Module:
        """A network with weights from torch's global generator."""
        architecture = resolve_architecture({"depth": depth, "width": self.width})
        return build_network(architecture, dataset.input_shape, dataset.num_classes)

    def study(self, *, executor: str, precision: str, mlflow: str) -> str:
        """The same sweep as an archsearch study."""
        data = self.data.model_dump(mode="json", exclude_defaults=True)
        return f"""
name: {self.name}
data: {{name: {self.data.name}, {", ".join(f"{k}: {v}" for k, v in data.items() if k != "name")}}}
architecture: {{block: residual, width: {self.width}}}
sweep: {{depth: {list(self.depths)}, training.learning_rate: {list(self.learning_rates)}}}
seeds: {list(self.seeds)}
training: {{epochs: {self.epochs}, batch_size: {self.batch_size},
           momentum: 0.9, weight_decay: 1.0e-4, schedule: one_cycle, precision: {precision}}}
execution: {{executor: {executor}, device: cpu}}
tracking: {{uri: '{mlflow}'}}
"""


TASKS = {
    task.name: task
    for task in (
        Task(
            "digits-resnet8",
            DataSettings(name="digits"),
            (8,),
            8,
            (0,),
            epochs=10,
            learning_rates=(0.05, 0.1, 0.2),
        ),
        Task(
            "digits-resnet8-20",
            DataSettings(name="digits"),
            (8, 20),
            8,
            (0, 1, 2),
            epochs=10,
            learning_rates=(0.05, 0.1, 0.2),
        ),
        Task(
            "digits-resnet20",
            DataSettings(name="digits"),
            (20,),
            8,
            (0,),
            epochs=10,
            learning_rates=tuple(round(0.02 * 1.3**step, 4) for step in range(12)),
        ),
        # To see that every stack works; too brief to compare anything.
        Task("digits-brief", DataSettings(name="digits"), (8,), 3, (0, 1), epochs=1),
        Task(
            "images32-resnet20",
            DataSettings(name="synthetic", samples=1200, image_size=32, channels=3, noise=2.0),
            (20,),
            16,
            (0,),
            epochs=2,
        ),
    )
}


def normalized_splits(task: Task) -> tuple[Dataset, dict[str, tuple[Tensor, Tensor]]]:
    """The data set, and its splits as normalised float images with labels."""
    dataset = load_dataset(task.data)
    mean = torch.tensor(dataset.mean).view(1, -1, 1, 1)
    std = torch.tensor(dataset.std).view(1, -1, 1, 1)
    splits = {}
    for name in ("train", "val"):
        split = getattr(dataset, name)
        scale = 255.0 if split.images.dtype == torch.uint8 else 1.0
        splits[name] = ((split.images.float() / scale - mean) / std, split.labels)
    return dataset, splits
