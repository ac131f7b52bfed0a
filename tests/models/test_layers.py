"""Layers that a processor's library would get wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from archsearch.models.layers import Convolution

# In a process of its own, for what is guarded against ends the process.
COMPUTE = """
import torch
from torch.nn import functional
from archsearch.models.layers import Convolution

torch.set_num_threads(1)
for channels in (2, 4, 6, 12):
    for size in (8, 16):
        print("channels", channels, "size", size, flush=True)
        torch.manual_seed(0)
        layer = Convolution(channels, 8, 1, 2, bias=False).to(memory_format=torch.channels_last)
        torch.nn.init.normal_(layer.weight)
        for _ in range(20):
            images = torch.randn(32, channels, size, size).contiguous(memory_format=torch.channels_last)
            images.requires_grad_()
            layer.zero_grad()
            found = layer(images)
            found.square().sum().backward()
            taken = images.detach()[:, :, ::2, ::2].double()
            expected = functional.conv2d(taken, layer.weight.detach().double())
            gradient = torch.einsum("nohw,nihw->oi", 2 * expected, taken)[:, :, None, None]
            assert found.is_contiguous(memory_format=torch.channels_last)
            torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(layer.weight.grad.double(), gradient, rtol=1e-4, atol=1e-2)
"""


def test_the_gradient_of_few_channels_that_lie_side_by_side_is_right() -> None:
    done = subprocess.run([sys.executable, "-c", COMPUTE], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_many_channels_and_other_kernels_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [
        Convolution(16, 8, 1, 2),
        Convolution(4, 8, 3, 2),
        Convolution(4, 8, 1),
        Convolution(4, 8, 1, 2, groups=4),
    ]
    images = [torch.zeros(1, layer.in_channels, 4, 4) for layer in layers]
    last = [image.contiguous(memory_format=torch.channels_last) for image in images]
    monkeypatch.setattr("archsearch.models.layers.subsample", lambda *_: pytest.fail("taken"))

    for layer, image in zip(layers, last, strict=True):
        layer(image)
