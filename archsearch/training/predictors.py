"""Predictors: numbers of an untrained network that may tell how good it gets, higher being better.

``parameters``, ``macs``
    As counted; the predictors that all others have to beat.
``grad_norm``
    L2 norm of the loss's gradient over all parameters, on one batch of training images (Abdelfattah et al.
    2021, 2101.08134). Departure: one norm over all of them, not the sum of the norms of the layers.
``synflow``
    Natural logarithm of the synaptic flow: the sum over all parameters of |θ · ∂R/∂θ|, R being the sum of the
    logits of an image of ones under absolute weights, in float64 (Tanaka et al. 2020, 2006.05467). Norms are
    left out, as by Abdelfattah et al. So are activations: for the positive values that there are, relu is the
    identity, and the others are taken for it too. Departure: gates stand open by their initial bias, for a
    sigmoid would be shut or open by the size of the flow alone; and what flows is scaled down block by block
    and the scales are added to the logarithm, so that a thousand layers do not overflow.
``naswot``
    Logarithm of the determinant of the kernel that counts, for each two images of a batch, the units that are
    active for both or for neither (Mellor et al. 2021, 2006.04647). A unit counts as active where the input
    of its activation is above 0, of gelu, silu and tanh as of relu.

The network is built under one seed, whichever a study trains under, and looked at as in training (batch norms
use the batch), but without dropout and stochastic depth. It computes on one thread of the CPU, so that the
same machine finds the same bits whatever else it does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from archsearch.architecture import Architecture
from archsearch.data import Dataset
from archsearch.models import build_network, count_cost
from archsearch.models.blocks import DropPath
from archsearch.models.initialization import Norm
from archsearch.models.layers import Gate
from archsearch.models.stages import Stage

MEASURED = ("grad_norm", "synflow", "naswot")
"""Those for which the network must be built; the others are counted without."""

Activation = nn.ReLU | nn.GELU | nn.SiLU | nn.Tanh

_SEED = 0
# The kernel of naswot has so many rows: all networks of a study are looked at with equally many images. Of
# large images fewer, for a network is to be scored where it can be trained.
_IMAGES, _LARGE_IMAGES = 64, 16
_LARGE_PIXELS = 64 * 64


def score_network(architecture: Architecture, dataset: Dataset, predictor: str) -> float | None:
    """Score a network by one of the predictors; the caller's random numbers stay as they are.

    It takes about as long as a few steps of its training.

    Returns:
        The score; None where it is no finite number, as of a kernel that is singular, or where the network
        cannot be computed here: then it cannot be ranked.
    """
    if predictor not in MEASURED:
        return float(getattr(count_cost(architecture, dataset.input_shape, dataset.num_classes), predictor))
    try:
        with _undisturbed():
            network = build_network(architecture, dataset.input_shape, dataset.num_classes)
            if predictor == "synflow":
                score = synflow(network, dataset.input_shape)
            else:
                images, labels = _sample_batch(dataset)
                _set_training(network)
                score = (
                    naswot(network, images)
                    if predictor == "naswot"
                    else gradient_norm(network, images, labels)
                )
    except Exception:  # noqa: BLE001 - of memory, say: its training will tell, where it comes to that
        return None
    return score if math.isfinite(score) else None


def gradient_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the L2 norm of the gradient of the mean cross-entropy by all parameters.

    Args:
        network: In the mode in which it is to be looked at.
        images: ``[N, ...]``, normalised.
        labels: ``[N]``.
    """
    loss = F.cross_entropy(network(images), labels)
    gradients = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    squares = [gradient.double().square().sum() for gradient in gradients if gradient is not None]
    return math.sqrt(sum(map(float, squares)))


def synflow(network: nn.Module, input_shape: tuple[int, ...]) -> float:
    """Return the logarithm of the synaptic flow; the network is altered, and of no use thereafter."""
    network.double().eval()
    _linearise(network)
    for parameter in network.parameters():
        parameter.data.abs_()
    scales: list[float] = []

    def scale(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor | None:
        largest = float(output.detach().amax())
        if not 0 < largest < math.inf:
            return None
        scales.append(math.log(largest))
        return output / largest

    for stage in network.modules():
        if isinstance(stage, Stage):
            for part in stage:
                part.register_forward_hook(scale)
    response = network(torch.ones(1, *input_shape, dtype=torch.float64)).sum()
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(response, parameters, allow_unused=True)
    flow = sum(
        float((parameter.detach() * gradient).abs().sum())
        for parameter, gradient in zip(parameters, gradients, strict=True)
        if gradient is not None
    )
    # fixup begins with layers of zeros, through which nothing flows
    return math.log(flow) + sum(scales) if flow > 0 else -math.inf


def naswot(network: nn.Module, images: Tensor) -> float:
    """Return the log-determinant of the kernel of activation codes, minus infinity where it is singular.

    It is singular where there are two images of one code, or fewer units than images; NaN where the network
    gives out what is not a number.

    Args:
        network: In the mode in which it is to be looked at.
        images: ``[N, ...]``, normalised.
    """
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64)

    def look(_module: nn.Module, inputs: tuple[Tensor]) -> None:
        # ±1 for each unit, whose products are 1 where two codes agree: exact in float32 up to 2^24 units
        codes = (inputs[0] > 0).flatten(1).float().mul_(2).sub_(1)
        kernel.add_((codes @ codes.T).double().add_(codes.shape[1]).div_(2))

    hooks = [
        module.register_forward_pre_hook(look)
        for module in network.modules()
        if isinstance(module, Activation)
    ]
    with torch.no_grad():
        logits = network(images)
    for hook in hooks:
        hook.remove()
    if not logits.isfinite().all():
        return math.nan
    eigenvalues = torch.linalg.eigvalsh(kernel)
    # What is singular has an eigenvalue of 0, which comes out as a rounding error of either sign.
    if eigenvalues[0] <= eigenvalues[-1] * len(images) * torch.finfo(torch.float64).eps:
        return -math.inf
    return float(eigenvalues.log().sum())


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Compute under a seed and on a thread of one's own, with gradients."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
            # torch.manual_seed would seed the GPUs too
            torch.default_generator.manual_seed(_SEED)
            yield
    finally:
        torch.set_num_threads(threads)


def _sample_batch(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Return the same images each time, and labels; drawn, for the first of a folder may be of one class."""
    # Lightning takes seconds to import.
    from archsearch.data.module import Normalisation

    large = math.prod(dataset.input_shape[1:]) > _LARGE_PIXELS
    generator = torch.Generator().manual_seed(_SEED)
    order = torch.randperm(len(dataset.train), generator=generator)
    batch = dataset.train.select(order[: _LARGE_IMAGES if large else _IMAGES])
    return Normalisation(dataset, torch.device("cpu"))(batch.images), batch.labels


def _set_training(network: nn.Module) -> None:
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout | DropPath):
            module.eval()


def _linearise(module: nn.Module) -> None:
    """Leave out norms and activations, and leave gates open as their bias begins."""
    for name, child in module.named_children():
        if isinstance(child, Gate):
            setattr(module, name, _Open(child))
        elif isinstance(child, Norm | Activation):
            setattr(module, name, nn.Identity())
        else:
            _linearise(child)


class _Open(nn.Module):
    """A gate that lets through the same share of everything."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        bias = gate.layer.bias
        self.share = 0.5 if bias is None else float(bias.detach().sigmoid().mean())

    def forward(self, x: Tensor) -> Tensor:
        return x.new_tensor(self.share)
