"""Several networks of one architecture in training as one: its loss, its clipping, its optimizer's state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from archsearch.data.module import Batch
from archsearch.models.packed import PackedNetwork, pack_networks
from archsearch.training.module import Classifier

# torch's own, of torch.nn.utils.clip_grad_norm_
_CLIPPING_EPS = 1e-6


class PackedClassifier(Classifier):
    """Trains K networks as one; each is trained as it would be alone.

    Batches are images ``[N, K*C, H, W]`` (or ``[N, K*F]``) and labels ``[N, K]``. The loss is the sum of the
    networks' own losses, so no gradient reaches a network from another's; optimizers work value by value.

    Args:
        classifiers: Of the single networks, on their device; their networks' tensors become windows on the
            packed ones and are trained along.
    """

    network: PackedNetwork

    def __init__(self, classifiers: Sequence[Classifier]) -> None:
        first = classifiers[0]
        networks = [classifier.network for classifier in classifiers]
        super().__init__(
            pack_networks(networks),
            first.settings,
            steps_per_epoch=first.steps_per_epoch,
            channels_last=first.channels_last,
        )
        # only then, for what is made above may copy tensors into another memory format
        self.network.share(networks)

    def training_step(self, batch: Batch, _: int) -> dict[str, Tensor]:
        """Return the loss that is minimised, each network's ``[K]``, and the predictions ``[N, K]``."""
        images, labels = batch
        logits = self(images)
        losses = F.cross_entropy(
            logits.flatten(0, 1),
            labels.flatten(),
            label_smoothing=self.settings.label_smoothing,
            reduction="none",
        )
        means = losses.view_as(labels).mean(0)
        return {"loss": means.sum(), "losses": means.detach(), "predictions": logits.detach().argmax(2)}

    def validation_step(self, batch: Batch, _: int) -> dict[str, Tensor]:
        """Return each network's plain cross-entropy ``[K]`` on the same images, and the logits."""
        images, labels = batch
        count = self.network.place.count
        logits = self(images.repeat(1, count, *[1] * (images.ndim - 2)))
        losses = [F.cross_entropy(own, labels) for own in logits.unbind(1)]
        return {"loss": torch.stack(losses), "logits": logits}

    @property
    def generators(self) -> tuple[torch.Generator, ...]:
        """One for each network."""
        return self.network.place.generators

    def seed_draws(self, seeds: Sequence[int]) -> None:
        """Seed what each network draws in training."""
        self.network.seed(seeds)

    def limit_gradients(self, max_norm: float) -> None:
        """Scale each network's gradients down to a norm of at most this."""
        count = self.network.place.count
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        squares = [gradient.square().reshape(count, -1).sum(1) for gradient in gradients]
        norms = torch.stack(squares).sum(0).sqrt()
        factors = (max_norm / (norms + _CLIPPING_EPS)).clamp(max=1.0)
        for gradient in gradients:
            for own, factor in zip(gradient.chunk(count), factors, strict=True):
                own.mul_(factor)


def put_side_by_side(loaders: Sequence[Iterator[Batch]]) -> Iterator[Batch]:
    """Join the batches of several loaders for a packed network."""
    for batches in zip(*loaders, strict=True):
        images, labels = zip(*batches, strict=True)
        yield torch.cat(images, 1), torch.stack(labels, 1)


def select_state(state: dict[str, Any], kept: Sequence[int], *, of: int) -> dict[str, Any]:
    """Cut an optimizer's state of `of` packed networks down to some of them."""

    def cut(value: Any) -> Any:
        # a step count is one number for all
        if not isinstance(value, Tensor) or not value.ndim:
            return value
        pieces = value.chunk(of)
        return torch.cat([pieces[index] for index in kept])

    entries = {
        parameter: {name: cut(value) for name, value in values.items()}
        for parameter, values in state["state"].items()
    }
    return {**state, "state": entries}
