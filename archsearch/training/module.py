"""A network with its loss, its optimizer and its schedule, for Lightning Fabric and for a stock Trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from archsearch.data.module import Batch
from archsearch.models.stages import recompute_blocks
from archsearch.study.settings import TrainingSettings
from archsearch.training.schedule import rate_factor


class Classifier(pl.LightningModule):
    """Trains a network to tell classes apart.

    A step returns ``loss`` and ``predictions`` (classes), which the caller accumulates as tensors: logging at
    every step costs more than a step of a small network.

    Args:
        network: Images to logits.
        settings: Optimizer, schedule, label smoothing.
        steps_per_epoch: Length of the training loader.
        channels_last: Whether convolutions use the channels-last memory format.
    """

    def __init__(
        self,
        network: nn.Module,
        settings: TrainingSettings,
        *,
        steps_per_epoch: int,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
        # torch's annotations know this argument only as the fourth of five.
        self.network = network.to(memory_format=memory_format)  # type: ignore[call-overload]
        if settings.gradient_checkpointing:
            recompute_blocks(self.network)
        self.settings = settings
        self.steps_per_epoch = steps_per_epoch
        self.channels_last = channels_last

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float32 ``[N, classes]``."""
        if self.channels_last and images.ndim == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.network(images)
        return logits.float()

    def training_step(self, batch: Batch, _: int) -> dict[str, Tensor]:
        """Return the loss that is minimised, with label smoothing, and the predictions."""
        images, labels = batch
        logits = self(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)
        return {"loss": loss, "predictions": logits.detach().argmax(1)}

    def validation_step(self, batch: Batch, _: int) -> dict[str, Tensor]:
        """Return the plain cross-entropy, the same measure whatever the label smoothing, and the logits."""
        images, labels = batch
        logits = self(images)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    @property
    def generators(self) -> tuple[torch.Generator, ...]:
        """The generators of random numbers that the network has for itself, besides torch's own."""
        return ()

    def seed_draws(self, seeds: Sequence[int]) -> None:
        """Seed what the network draws in training, of dropout and drop_path; one seed for one network."""
        (seed,) = seeds
        torch.manual_seed(seed)

    def limit_gradients(self, max_norm: float) -> None:
        """Scale all gradients down to a norm of at most this."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), max_norm)

    def configure_optimizers(self) -> Any:
        """Build the optimizer and the schedule, which moves at every step.

        Weight decay applies to all parameters, biases and norms among them, as in the papers whose figures
        are compared with (He et al. 2015, arXiv:1512.03385).
        """
        optimizer = build_optimizer(self.network, self.settings)
        steps = self.settings.epochs * self.steps_per_epoch
        scheduler = LambdaLR(
            optimizer,
            lambda step: rate_factor(self.settings, step, steps=steps, steps_per_epoch=self.steps_per_epoch),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def build_optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Build sgd, adam or adamw over all parameters; `momentum` is the first beta of adam and adamw."""
    # Fused: one kernel for all tensors. A deep narrow network spends 5 % of a step in the unfused one.
    shared: dict[str, Any] = {
        "lr": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "fused": next(network.parameters()).device.type in ("cpu", "cuda", "mps"),
    }
    match settings.optimizer:
        case "sgd":
            return torch.optim.SGD(
                network.parameters(), momentum=settings.momentum, nesterov=settings.nesterov, **shared
            )
        case "adam":
            return torch.optim.Adam(network.parameters(), betas=(settings.momentum, 0.999), **shared)
        case "adamw":
            return torch.optim.AdamW(network.parameters(), betas=(settings.momentum, 0.999), **shared)
