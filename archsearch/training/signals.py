"""What a step of training looks like along the depth of a network: gradients, responses, dead units, gates.

One step of each epoch is watched, so the cost is that of a few reductions an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from archsearch.models.layers import Gate
from archsearch.models.packed_layers import PackedLayerNorm, PackedLinear
from archsearch.models.shared_norm import SharedBatchNorm

POSITIONS = 32
"""Values of a profile, at most: of deeper networks neighbours are averaged."""

Profile = dict[str, tuple[float, ...]]
"""By signal, one value a position, from the first block's to the last one's:

``gradient_norm``
    L2 norm of the loss's gradient by the response of each weighted layer of the branches: what reaches it on
    the way back.
``response_std``
    Standard deviation of that response: behind the layer's norm where one follows, before the activation (He
    et al. 2015, 1512.03385, figure 7).
``update_ratio``
    L2 norm of what the step adds to the layer's weights, over theirs.
``dead_frac``
    Share of the channels of each rectifier that no image of the batch activates.
``gate_openness``
    Mean opening of each gate (Srivastava et al. 2015, 1507.06228).

A signal that a network does not have is missing.
"""

_Weighted = nn.Conv2d | nn.Linear | PackedLinear
_Norm = _BatchNorm | SharedBatchNorm | nn.GroupNorm | nn.LayerNorm | PackedLayerNorm


@dataclass(frozen=True, eq=False)
class _Places:
    """The modules that are watched, in the order of the depth."""

    weights: tuple[nn.Parameter, ...]
    responses: tuple[nn.Module, ...]
    rectifiers: tuple[nn.Module, ...]
    gates: tuple[nn.Module, ...]


class Profiler:
    """Watches steps of training.

    Args:
        network: With stages of blocks; or several of one architecture, packed.
        count: Networks that are packed in it.
    """

    def __init__(self, network: nn.Module, count: int = 1) -> None:
        self._count = count
        self._places = _find_places(network)
        self._seen: dict[str, list[Tensor | None]] = {}

    @contextmanager
    def watching(self, optimizer: Optimizer) -> Iterator[None]:
        """Watch the step that is made within the context; it must not be a captured one."""
        self._seen = {}
        hooks = [
            *self._watch(self._places.rectifiers, "dead_frac", _count_dead),
            *self._watch(self._places.gates, "gate_openness", _measure_mean),
            *self._watch_responses(),
        ]
        before: list[Tensor] = []

        def look_at_weights(*_: Any) -> None:
            before[:] = [weight.detach().clone() for weight in self._places.weights]

        def look_at_updates(*_: Any) -> None:
            added = torch._foreach_sub([weight.detach() for weight in self._places.weights], before)
            norms = zip(map(self._norm, added), map(self._norm, before), strict=True)
            self._seen["update_ratio"] = [update / weight for update, weight in norms]

        if self._places.weights:
            hooks.append(optimizer.register_step_pre_hook(look_at_weights))
            hooks.append(optimizer.register_step_post_hook(look_at_updates))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def read(self) -> list[Profile]:
        """Return what was seen of each network; waits for the device."""
        profiles: list[Profile] = [{} for _ in range(self._count)]
        for name, values in self._seen.items():
            table = torch.stack([value.float() for value in values if value is not None]).cpu()
            for profile, column in zip(profiles, table.unbind(1), strict=True):
                profile[name] = tuple(float(f"{value:.4g}") for value in pool(column.tolist()))
        return profiles

    def _watch(self, modules: Sequence[nn.Module], name: str, measure: Any) -> list[Any]:
        if not modules:
            return []
        seen = self._seen[name] = [None] * len(modules)

        def look(index: int, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
            # under gradient checkpointing the forward pass comes a second time
            if seen[index] is None:
                with torch.no_grad():
                    seen[index] = measure(output.detach(), self._count)

        return [module.register_forward_hook(partial(look, index)) for index, module in enumerate(modules)]

    def _watch_responses(self) -> list[Any]:
        modules = self._places.responses
        gradients: list[Tensor | None] = [None] * len(modules)

        def look_back(index: int, gradient: Tensor) -> None:
            self._seen["gradient_norm"] = gradients
            gradients[index] = _split(gradient, self._count).float().square().sum((0, 2, 3)).sqrt()

        def look(index: int, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
            # torch leaves this method of tensors without annotations
            output.register_hook(partial(look_back, index))  # type: ignore[no-untyped-call]

        back = [module.register_forward_hook(partial(look, index)) for index, module in enumerate(modules)]
        return [*back, *self._watch(modules, "response_std", _measure_std)]

    def _norm(self, tensor: Tensor) -> Tensor:
        """L2 norm of a tensor for each network, ``[K]``."""
        return tensor.float().reshape(self._count, -1).square().sum(1).sqrt()


def gradient_ratio(profile: Profile) -> float | None:
    """Return how large gradients are at the first quarter of the weighted layers, over the last quarter.

    Far below 1 they vanish on their way back, far above they explode.

    Returns:
        Ratio of the means; None where there are no gradients to compare.
    """
    norms = profile.get("gradient_norm", ())
    quarter = max(1, len(norms) // 4)
    last = sum(norms[-quarter:])
    return sum(norms[:quarter]) / last if len(norms) > 1 and last > 0 else None


def pool(values: Sequence[float], most: int = POSITIONS) -> list[float]:
    """Average neighbours, so that no more than `most` values are left."""
    count = len(values)
    left = min(count, most)
    bounds = [index * count // left for index in range(left + 1)] if left else []
    return [sum(values[start:end]) / (end - start) for start, end in pairwise(bounds)]


def _find_places(network: nn.Module) -> _Places:
    following = {
        layer: after
        for parent in network.modules()
        if isinstance(parent, nn.Sequential)
        for layer, after in zip(list(parent), list(parent)[1:], strict=False)
    }
    named = [(f".{name}", module) for name, module in network.named_modules()]
    in_blocks = [(name, module) for name, module in named if ".stages." in name]
    layers = [module for name, module in in_blocks if ".branch" in name and isinstance(module, _Weighted)]
    responses = [after if isinstance(after := following.get(layer), _Norm) else layer for layer in layers]
    return _Places(
        tuple(layer.weight for layer in layers if isinstance(layer.weight, nn.Parameter)),
        tuple(responses),
        tuple(module for _, module in in_blocks if isinstance(module, nn.ReLU)),
        tuple(module for _, module in in_blocks if isinstance(module, Gate)),
    )


def _split(output: Tensor, count: int) -> Tensor:
    """View ``[N, K*C, ...]`` as ``[N, K, C, pixels]``."""
    return output.reshape(output.shape[0], count, output.shape[1] // count, -1)


def _measure_std(output: Tensor, count: int) -> Tensor:
    return _split(output, count).float().std((0, 2, 3), correction=0)


def _count_dead(output: Tensor, count: int) -> Tensor:
    return (_split(output, count).amax((0, 3)) <= 0).float().mean(1)


def _measure_mean(output: Tensor, count: int) -> Tensor:
    return _split(output, count).float().mean((0, 2, 3))
