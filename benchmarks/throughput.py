"""Images a second in training, by family and depth: eager float32 against what `precision: auto` chooses.

    OMP_NUM_THREADS=1 python -m benchmarks.throughput --output benchmarks/results/throughput.json
    python -m benchmarks.throughput --device cuda --batch-size 512 --output throughput-gpu.json
    python -m benchmarks.throughput --images 32x32 --networks residual-20 dense-40

Protocol. Networks with batch norm, the cifar layout at width 16 (dense: growth 12, grouped: cardinality 8)
and fully connected ones of 128 units, at three depths each, on images of the shape of digits (8 x 8 x 1) and
of 32 x 32 x 3. For each network `choose_compute` decides as it does for a study of that network alone. Then
the training step of archsearch itself (forward, backward, SGD with momentum, schedule) is timed in float32
and as chosen, in turns, `--rounds` times after one to warm up; a turn is so many steps as take about
`--turn-s` seconds, and ends when the device has finished. Making batches and validating is not in it. Given
are median, least and largest images a second, and the ratio of the two within a round. Threads are those of
one worker: OMP_NUM_THREADS, else all cores.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from archsearch.architecture import Architecture, resolve_architecture
from archsearch.data import Dataset, load_dataset
from archsearch.execution.machine import count_threads
from archsearch.models import build_network, count_cost
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training.compute import choose_compute
from archsearch.training.evaluation import build_fabric
from archsearch.training.measuring import build_trainer
from archsearch.training.values import Compute
from benchmarks.machine import summarize, write_result

FIELDS = {
    "plain": {"block": "plain", "width": 16},
    "residual": {"block": "residual", "width": 16},
    "highway": {"block": "highway", "width": 16},
    "dense": {"block": "dense", "width": 12},
    "grouped": {"block": "grouped", "width": 16, "cardinality": 8},
    "mlp-plain": {"layout": "mlp", "block": "plain", "width": 128},
    "mlp-highway": {"layout": "mlp", "block": "highway", "width": 128},
}
DEPTHS = {
    "plain": (8, 20, 56),
    "residual": (8, 20, 56),
    "highway": (8, 20, 56),
    "dense": (10, 22, 40),
    "grouped": (11, 20, 56),
    "mlp-plain": (2, 10, 50),
    "mlp-highway": (2, 10, 50),
}
NETWORKS = {f"{family}-{depth}": (family, depth) for family, depths in DEPTHS.items() for depth in depths}
IMAGES = {
    "8x8": DataSettings(name="digits"),
    "32x32": DataSettings(name="synthetic", samples=1000, image_size=32),
}


def build_turn(
    architecture: Architecture, compute: Compute, dataset: Dataset, batch_size: int
) -> Callable[[int], float]:
    """Build a function that makes so many steps and returns their seconds."""
    # So many that the schedule does not end before the benchmark does.
    training = TrainingSettings(epochs=1_000_000, batch_size=batch_size)
    device = build_fabric(compute.device, compute.precision).device
    # As many as asked for, where the data are fewer.
    index = torch.arange(batch_size) % len(dataset.train)
    images = (dataset.train.images[index].float() / 255).to(device)
    labels = dataset.train.labels[index].to(device)
    network = build_network(architecture, dataset.input_shape, dataset.num_classes)
    train = build_trainer(compute, [network], training)

    def make(steps: int) -> float:
        before = time.perf_counter()
        for _ in range(steps):
            found = train((images, labels))
        # Reading a value waits for the device.
        found["loss"].item()
        return time.perf_counter() - before

    return make


def compare(
    architecture: Architecture,
    dataset: Dataset,
    *,
    device: str,
    batch_size: int,
    rounds: int,
    turn_s: float,
) -> dict[str, Any]:
    """Time a network in float32 and as chosen, in turns."""
    training = TrainingSettings(batch_size=batch_size)
    threads = count_threads(1)
    torch.set_num_threads(threads)
    chosen = choose_compute([architecture], training, dataset, device=device, threads=threads)
    eager = replace(chosen, precision="32", channels_last=False, captured=False)
    turns = [build_turn(architecture, compute, dataset, batch_size) for compute in (eager, chosen)]
    counts = []
    for make in turns:
        make(3)
        counts.append(max(1, math.ceil(turn_s / make(1))))
    pairs = [[make(n) / n for make, n in zip(turns, counts, strict=True)] for _ in range(rounds)]
    return {
        "parameters": count_cost(architecture, dataset.input_shape, dataset.num_classes).parameters,
        "chosen": _describe(chosen),
        "eager_images_per_s": summarize([batch_size / one for one, _ in pairs]),
        "chosen_images_per_s": summarize([batch_size / other for _, other in pairs]),
        "gain": summarize([one / other for one, other in pairs]),
    }


def _describe(compute: Compute) -> str:
    parts = [{"32": "float32", "bf16": "bfloat16"}[compute.precision]]
    parts += ["channels last"] if compute.channels_last else []
    parts += ["captured"] if compute.captured else []
    return ", ".join(parts)


def _print_table(results: list[dict[str, Any]]) -> None:
    print(f"{'images':7} {'network':15} {'float32 img/s':>14} {'chosen img/s':>13} {'gain':>6}  chosen")
    for row in results:
        speeds = [row[f"{name}_images_per_s"]["median"] for name in ("eager", "chosen")]
        figures = f"{speeds[0]:14,.0f} {speeds[1]:13,.0f} {row['gain']['median']:6.2f}"
        print(f"{row['images']:7} {row['network']:15} {figures}  {row['chosen']}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--images", nargs="+", choices=list(IMAGES), default=list(IMAGES))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn-s", type=float, default=0.3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    results = []
    for images in options.images:
        dataset = load_dataset(IMAGES[images])
        for name in options.networks:
            family, depth = NETWORKS[name]
            architecture = resolve_architecture({**FIELDS[family], "depth": depth})
            row = compare(
                architecture,
                dataset,
                device=options.device,
                batch_size=options.batch_size,
                rounds=options.rounds,
                turn_s=options.turn_s,
            )
            results.append({"images": images, "network": name, **row})
    _print_table(results)
    protocol = {
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "threads": count_threads(1),
        "batch_size": options.batch_size,
        "rounds": options.rounds,
        "turn_s": options.turn_s,
    }
    write_result("throughput", protocol, results, options.output)


if __name__ == "__main__":
    main()
