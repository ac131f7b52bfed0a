"""One network in training on several ranks: what each of them does with its share of a batch."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from lightning_fabric import Fabric
from torch import Tensor

from archsearch.data.module import Batch
from archsearch.training.module import Classifier


class SharedClassifier(Classifier):
    """Trains this rank's copy of a network on its share of each batch; all copies stay the same.

    Args:
        single: On the rank's device. Its network is trained along.
        fabric: Of this rank; wraps the network in DDP, which begins with the weights of rank 0.
    """

    def __init__(self, single: Classifier, fabric: Fabric) -> None:
        super().__init__(
            single.network,
            single.settings,
            steps_per_epoch=single.steps_per_epoch,
            channels_last=single.channels_last,
        )
        self._ranks = fabric.world_size
        # By the strategy, for Fabric itself would keep every LightningModule for ever, as a callback.
        self.parallel = fabric.strategy.setup_module(single)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of this rank's images."""
        logits: Tensor = self.parallel(images)
        return logits

    def training_step(self, batch: Batch, _: int) -> dict[str, Tensor]:
        """Return the loss, the mean loss of this rank's own images, and their predictions.

        DDP averages the gradients of the ranks' losses, which so come to that of the whole batch's mean loss,
        however many images each rank has.
        """
        images, labels = batch
        whole = torch.tensor(float(len(labels)), device=labels.device)
        dist.all_reduce(whole)
        logits = self(images)
        total = F.cross_entropy(
            logits, labels, label_smoothing=self.settings.label_smoothing, reduction="sum"
        )
        return {
            "loss": total * (self._ranks / whole),
            "losses": total.detach() / max(1, len(labels)),
            "predictions": logits.detach().argmax(1),
        }
