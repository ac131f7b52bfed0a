"""Tests that need a device which most machines lack."""

from collections.abc import Callable

import pytest
import torch


def needs_cuda(test: Callable) -> Callable:
    """Mark a test as one of a CUDA device; skipped where there is none."""
    skipped = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    return pytest.mark.gpu(skipped(test))
