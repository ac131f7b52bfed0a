"""Latency on ONNX Runtime: of which graph, on how many threads, and how often the graph is written."""

from __future__ import annotations

import pytest
import torch

from archsearch.architecture import resolve_architecture
from archsearch.models.onnx_graph import convert_to_onnx, open_session
from archsearch.training import onnx_latency
from archsearch.training.onnx_latency import measure_onnx_latency

pytest.importorskip("onnxruntime")
SMALL = resolve_architecture({"depth": 8, "width": 2})


@pytest.mark.slow
def test_one_image_is_measured_on_the_threads_given_and_the_graph_written_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads, written = [], []

    def count(model: bytes, **options: int) -> object:
        threads.append(options["threads"])
        return open_session(model, **options)

    def convert(*arguments: object) -> object:
        written.append(arguments)
        return convert_to_onnx(*arguments)

    monkeypatch.setattr(onnx_latency, "open_session", count)
    monkeypatch.setattr(onnx_latency, "convert_to_onnx", convert)
    onnx_latency._write_graph.cache_clear()
    torch.manual_seed(0)
    state = torch.random.get_rng_state()

    times = [measure_onnx_latency(SMALL, torch.zeros(1, 1, 8, 8), 10, threads=count) for count in (1, 2)]

    assert all(0 < time < 1000 for time in times)
    assert threads == [1, 2]
    assert len(written) == 1
    assert torch.equal(torch.random.get_rng_state(), state)
