"""How long an image takes on ONNX Runtime, where networks are often run once they are trained."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from archsearch.architecture import Architecture
from archsearch.models import build_network
from archsearch.models.onnx_graph import convert_to_onnx, open_session, trace_network
from archsearch.training.measures import measure_latency


def measure_onnx_latency(architecture: Architecture, image: Tensor, classes: int, *, threads: int) -> float:
    """Measure as `measure_latency` does, in milliseconds, on ONNX Runtime's CPU provider in float32.

    The graph has other weights than the trained network, which take as long; to write it takes seconds, so
    that is done once in a process for all seeds.

    Args:
        architecture: What is measured.
        image: ``[1, C, H, W]`` or ``[1, F]``, wherever it is.
        classes: Number of logits.
        threads: Of ONNX Runtime.
    """
    graph = _write_graph(architecture, tuple(image.shape[1:]), classes)
    session = open_session(graph, threads=threads)

    def forward(image: Tensor) -> Tensor:
        (logits,) = session.run(None, {"images": image.numpy()})
        return torch.from_numpy(logits)

    return measure_latency(forward, image.cpu().contiguous())


@lru_cache(maxsize=1)
def _write_graph(architecture: Architecture, input_shape: tuple[int, ...], classes: int) -> bytes:
    with torch.random.fork_rng(devices=[]):
        network = build_network(architecture, input_shape, classes).eval()
    graph = convert_to_onnx(trace_network(network, input_shape), input_shape).model_proto
    written: bytes = graph.SerializeToString()
    return written
