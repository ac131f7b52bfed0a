"""Trained weights on disk, as safetensors: nothing in such a file can run code."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from archsearch.errors import RunFolderError
from archsearch.training.saving import replace_files


def save_weights(network: nn.Module, path: str | Path) -> None:
    """Save all parameters and buffers; the file is there in full or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    replace_files({Path(path): lambda part: save_file(tensors, part)})


def write_whole(content: bytes, path: str | Path) -> None:
    """Write a file that another machine has saved; it is there in full or not at all."""
    replace_files({Path(path): lambda part: part.write_bytes(content)})


def read_weights(network: nn.Module, path: str | Path) -> None:
    """Give a network the weights of a file.

    Raises:
        RunFolderError: The file is missing, damaged, or of another network.
    """
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise RunFolderError(f"must be a file of weights ({error})", path=str(path)) from error
    except RuntimeError as error:
        raise RunFolderError(f"must hold the weights of this network ({error})", path=str(path)) from error
