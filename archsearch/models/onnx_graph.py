"""A network as an ONNX graph, which ONNX Runtime computes without torch."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def find_missing() -> list[str]:
    """The packages that are needed and not installed; those of the extra ``onnx``."""
    needed = ("onnx", "onnxscript", "onnxruntime")
    return [package for package in needed if not importlib.util.find_spec(package)]


def trace_network(network: nn.Module, input_shape: tuple[int, ...]) -> ExportedProgram:
    """Trace a network in evaluation mode, for any number of images at a time."""
    # zeros: what torch.export takes as an example goes into the file
    example = torch.zeros(2, *input_shape)
    with quiet_exporters(), torch.no_grad():
        program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for node in program.graph.nodes:
        # lines of our files, with the paths of this machine
        node.meta.pop("stack_trace", None)
    return program


def convert_to_onnx(program: ExportedProgram, input_shape: tuple[int, ...]) -> Any:
    """Convert what was traced; takes seconds.

    Returns:
        torch's ONNXProgram, with the input ``images`` and the output ``logits``.
    """
    with quiet_exporters(), torch.no_grad():
        return torch.onnx.export(
            program,
            (torch.zeros(2, *input_shape),),
            dynamo=True,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: "batch"},),
            verbose=False,
        )


def open_session(model: bytes, *, threads: int) -> Any:
    """Open a graph on the CPU, as ONNX Runtime's InferenceSession."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Keep to ourselves what torch's exporters say of their own insides."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
