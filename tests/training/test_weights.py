"""A file of weights is data: what is in it is never run."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from archsearch.errors import RunFolderError
from archsearch.training.weights import read_weights


class Touch:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_weights_that_would_run_code_are_refused_unread(tmp_path, save):
    path = tmp_path / "trial.safetensors"
    save(Touch(tmp_path / "ran"), path)

    with pytest.raises(RunFolderError, match="must be a file of weights"):
        read_weights(nn.Linear(2, 2), path)

    assert not (tmp_path / "ran").exists()
    with path.open("rb") as file:
        torch.load(file, weights_only=False) if save is torch.save else pickle.load(file)
    assert (tmp_path / "ran").exists()
