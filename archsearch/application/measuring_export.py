"""What metrics.json says of an exported network: how good it is, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.application.provenance import find_processor
from archsearch.data import Dataset
from archsearch.data.dataset import Split
from archsearch.data.module import Normalisation
from archsearch.export import ExportedNetwork
from archsearch.export.latency import measure_latencies, measure_latency
from archsearch.export.performance import measure_performance
from archsearch.export.probe import describe_probe, make_probe
from archsearch.export.pruning import count_error, prune_by_lesion
from archsearch.export.raw_network import RawNetwork, build_trained
from archsearch.models import count_cost
from archsearch.models.surgery import Anatomy
from archsearch.statistics.intervals import share_interval

_BATCH = 256


def measure_export(
    network: ExportedNetwork,
    dataset: Dataset,
    folder: Path,
    runs: Mapping[str, Callable[[Tensor], Tensor]],
    *,
    validated: bool,
) -> dict[str, Any]:
    """Evaluate a network on validation and test images, in float32 on the CPU, and measure its costs.

    Args:
        network: What is exported.
        dataset: Its data.
        folder: That holds its files.
        runs: Them, opened.
        validated: Whether it has not been trained on the validation images.
    """
    raw = RawNetwork(build_trained(network), network).eval()
    splits = {"validation": dataset.val if validated else None, "test": dataset.test}
    found = {
        name: None
        if split is None
        else measure_performance(_logits(raw, split), split.labels, network.class_names)
        for name, split in splits.items()
    }
    cost = count_cost(network.architecture, network.input_shape, len(network.class_names))
    size = sum(tensor.numel() * tensor.element_size() for tensor in network.weights.values())
    with torch.no_grad():
        probe = raw(make_probe(network))
    return {
        **found,
        "parameters": cost.parameters,
        "macs": cost.macs,
        "memory": {"weights_mib": size / 2**20, "training_activations_mib_an_image": cost.activation_mib},
        "file_bytes": {path.name: path.stat().st_size for path in sorted(folder.iterdir())},
        "latency": measure_latencies(runs, dataset.val.images[:1].float(), processor=find_processor()),
        "probe": describe_probe(probe),
    }


def describe_pruned(network: ExportedNetwork, dataset: Dataset) -> dict[str, Any]:
    """Measure the network without the blocks that it does not miss, beside the whole one."""
    whole = build_trained(network)
    anatomy: Any = Anatomy(
        whole,  # type: ignore[arg-type]
        network.architecture,
        network.input_shape,
        len(network.class_names),
    )
    normalise = Normalisation(dataset, torch.device("cpu"))
    variants, why_not = prune_by_lesion(anatomy, dataset.val, normalise)
    image = normalise(dataset.val.images[:1])

    def measure(one: nn.Module) -> dict[str, Any]:
        return {
            "val_accuracy": 1 - count_error(one, dataset.val, normalise),
            **_test_accuracy(1 - count_error(one, dataset.test, normalise), len(dataset.test)),
            "latency_ms": measure_latency(one, image)["median"],
        }

    rows = [{"rule": "whole", "dropped_blocks": [], **measure(whole)}]
    rows += [
        {"rule": variant.rule, "dropped_blocks": list(variant.dropped), **variant.network_of(measure)}
        for variant in variants
    ]
    return {"blocks": len(anatomy.plans), "variants": rows, "why_not": why_not}


def _test_accuracy(accuracy: float, images: int) -> dict[str, float]:
    low, high = share_interval(accuracy, images)
    return {"test_accuracy": accuracy, "test_accuracy_low": low, "test_accuracy_high": high}


def _logits(raw: RawNetwork, split: Split) -> Tensor:
    with torch.inference_mode():
        return torch.cat([raw(some.float()) for some in torch.split(split.images, _BATCH)])
