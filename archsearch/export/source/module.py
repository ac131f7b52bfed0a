"""model.py: imports, preprocessing, the classes of one network, loading and predicting."""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.architecture import (
    BLOCKS,
    SHORTCUTS,
    Architecture,
    normal_form,
    plan_network,
)
from archsearch.architecture.builtin import BUILTIN_BLOCKS, BUILTIN_SHORTCUTS
from archsearch.export.description import ExportedNetwork
from archsearch.export.source.block import BlockText
from archsearch.export.source.network import NetworkText
from archsearch.export.source.pieces import Pieces, literal_tuple, string

_GROUP_NORM = '''
def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with the most groups, up to 32, that have at least 4 channels each."""
    groups = [n for n in range(1, 33) if channels % n == 0 and channels // n >= 4]
    return nn.GroupNorm(max(groups, default=1), channels)
'''
_BIAS = '''
class Bias(nn.Module):
    """Adds a learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias
'''
_SCALE = '''
class Scale(nn.Module):
    """Multiplies by a learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale
'''
_AVERAGE = '''
class GlobalAverage(nn.Module):
    """The mean over all pixels of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))
'''
_PREPARE_IMAGES = '''
def prepare(images: Tensor) -> Tensor:
    """Normalise raw images: [N, C, H, W], [N, H, W, C], or a single one of either."""
    channels, *size = INPUT_SHAPE
    images = torch.as_tensor(images)
    images = images[None] if images.ndim == 3 else images
    if images.shape[1:] == (*size, channels) != INPUT_SHAPE:
        images = images.permute(0, 3, 1, 2)
    if images.shape[1:] != INPUT_SHAPE:
        raise ValueError(f"must be images of {INPUT_SHAPE}, got {tuple(images.shape)}")
    mean = torch.tensor(MEAN, dtype=torch.float64).view(-1, 1, 1)
    std = torch.tensor(STD, dtype=torch.float64).view(-1, 1, 1)
    scale, shift = (1 / (std * LARGEST)).float(), (-mean / std).float()
    return images.contiguous().float() * scale + shift
'''
_PREPARE_VECTORS = '''
def prepare(inputs: Tensor) -> Tensor:
    """Normalise raw inputs: [N, F], or a single one."""
    inputs = torch.as_tensor(inputs)
    inputs = inputs[None] if inputs.ndim == 1 else inputs
    if inputs.shape[1:] != INPUT_SHAPE:
        raise ValueError(f"must be inputs of {INPUT_SHAPE}, got {tuple(inputs.shape)}")
    mean = torch.tensor(MEAN, dtype=torch.float64)
    std = torch.tensor(STD, dtype=torch.float64)
    scale, shift = (1 / (std * LARGEST)).float(), (-mean / std).float()
    return inputs.contiguous().float() * scale + shift
'''
_USE = '''
def load(weights: str | Path = WEIGHTS) -> Network:
    """Build the network with its trained weights, ready to predict."""
    network = Network()
    network.load_state_dict(load_file(weights))
    return network.eval()


@torch.inference_mode()
def predict({inputs}: Tensor, network: Network | None = None) -> Tensor:
    """Probabilities of the classes, [N, {classes}], of raw {inputs}."""
    network = load() if network is None else network
    return network(prepare({inputs})).softmax(1)
'''


def find_foreign(architecture: Architecture) -> str:
    """Name the block or shortcut that a plugin brought, whose source is not ours to write; else empty."""
    normal = normal_form(architecture)
    if BLOCKS[normal.block] not in BUILTIN_BLOCKS:
        return f"block {normal.block}"
    if normal.shortcut is not None and SHORTCUTS[normal.shortcut] not in BUILTIN_SHORTCUTS:
        return f"shortcut {normal.shortcut}"
    return ""


def write_source(network: ExportedNetwork) -> str:
    """Write the module of a network whose blocks are archsearch's own; see `find_foreign`.

    Its weights are those of the exported file, under the same names. In evaluation mode it computes what
    the trained network computes; stochastic depth and how weights began are left out, which only training
    knows.
    """
    assert not find_foreign(network.architecture)
    architecture = normal_form(network.architecture)
    pieces = Pieces(architecture)
    plan = plan_network(architecture, input_channels=network.input_shape[0])
    block = BlockText(pieces, plan)
    whole = NetworkText(
        pieces, plan, block, input_shape=network.input_shape, classes=len(network.class_names)
    )
    definitions = [block.write(), whole.write_stage(), whole.write_network()]
    helpers = [
        text
        for text, needed in (
            (_GROUP_NORM, pieces.groups_norms),
            (_BIAS, pieces.fixup),
            (_SCALE, pieces.fixup),
            (_AVERAGE, whole.averages),
        )
        if needed
    ]
    images = len(network.input_shape) == 3
    use = _USE.format(inputs="images" if images else "inputs", classes=len(network.class_names))
    sections = [
        *(text.strip().split("\n") for text in helpers),
        *definitions,
        (_PREPARE_IMAGES if images else _PREPARE_VECTORS).strip().split("\n"),
        use.strip().split("\n"),
    ]
    body = "\n\n\n".join("\n".join(section) for section in sections)
    head = "\n".join([*_docstring(network), "", *_imports("F." in body), "", *_constants(network)])
    return f"{head}\n\n\n{body}\n"


def _docstring(network: ExportedNetwork) -> list[str]:
    inputs = "images" if len(network.input_shape) == 3 else "inputs"
    shape = " x ".join(map(str, network.input_shape))
    return [
        f'"""{network.architecture.name}: a trained classifier.',
        "",
        f"It takes raw {inputs} of {shape} and knows {len(network.class_names)} classes.",
        "It needs torch and safetensors, and model.safetensors beside it:",
        "",
        "    from model import CLASSES, load, predict",
        "",
        f"    probabilities = predict({inputs}, load())",
        "    print([CLASSES[number] for number in probabilities.argmax(1)])",
        '"""',
    ]


def _imports(functional: bool) -> list[str]:
    return [
        "from __future__ import annotations",
        "",
        "from pathlib import Path",
        "",
        "import torch",
        *(["import torch.nn.functional as F"] if functional else []),
        "from safetensors.torch import load_file",
        "from torch import Tensor, nn",
    ]


def _constants(network: ExportedNetwork) -> list[str]:
    return [
        'WEIGHTS = Path(__file__).with_name("model.safetensors")',
        *literal_tuple("CLASSES", [string(name) for name in network.class_names]),
        *literal_tuple("INPUT_SHAPE", [str(size) for size in network.input_shape]),
        "# Of the training images, each channel's; raw values go from 0 to LARGEST.",
        *literal_tuple("MEAN", _numbers(network.mean)),
        *literal_tuple("STD", _numbers(network.std)),
        f"LARGEST = {network.largest}",
    ]


def _numbers(values: Sequence[float]) -> list[str]:
    return [repr(float(value)) for value in values]
