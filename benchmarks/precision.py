"""Whether results under bf16 stay within the noise of seeds: validation error, pair by pair with fp32.

    OMP_NUM_THREADS=1 python -m benchmarks.precision --output precision.json

Protocol: each network is trained on digits in float32 and in bf16 autocast, channels last, `--seeds`
times, both under the same seeds, so that a pair shares initialisation, order and augmentation; nothing else
differs. A row gives the spread of the seeds in float32, and the mean difference in validation error (bf16
less fp32) with its 95 % interval (Student's t). All pairs together answer the question by two one-sided tests
(Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15): a difference as large as one standard
deviation of the seeds in float32, pooled over networks and taken as known, is refuted in both directions at
5 %.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from scipy import stats

from archsearch.architecture import Architecture, resolve_architecture
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import Compute, Job, Result
from archsearch.training.loop import train
from benchmarks.machine import write_result

_LEVEL = 0.05
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "plain-8": {"block": "plain", "depth": 8, "width": 8},
    "residual-14": {"block": "residual", "depth": 14, "width": 8},
    "dense-13": {"block": "dense", "depth": 13, "width": 6},
    "highway-8": {"block": "highway", "depth": 8, "width": 8},
    "grouped-11": {"block": "grouped", "depth": 11, "width": 8},
}
_FP32 = Compute(channels_last=True)
_BF16 = Compute(precision="bf16", channels_last=True)

Pair = tuple[float, float]
"""Validation error of one seed in float32 and in bf16."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs = {name: train_pairs(NETWORKS[name], options.seeds, options.epochs) for name in options.networks}
    rows = [{"network": name} | describe_pairs(found) for name, found in pairs.items()]
    protocol = {"seeds": options.seeds, "epochs": options.epochs, "batch_size": 64, "data": "digits"}
    results = [*rows, {"network": "together", **judge(list(pairs.values()))}]
    write_result("precision", protocol, results, options.output)


def train_pairs(fields: Mapping[str, Any], seeds: int, epochs: int) -> list[Pair]:
    """Train a network under each seed in both precisions."""
    architecture = resolve_architecture(fields)
    return [
        (_val_error(architecture, _FP32, seed, epochs), _val_error(architecture, _BF16, seed, epochs))
        for seed in range(seeds)
    ]


def describe_pairs(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Spread of the seeds, and the mean difference with its 95 % interval; errors are fractions."""
    differences = [bf16 - fp32 for fp32, bf16 in pairs]
    mean, se = _mean_and_se(differences)
    half = float(stats.t.ppf(1 - _LEVEL / 2, len(pairs) - 1)) * se
    return {
        "n": len(pairs),
        "fp32_val_error": statistics.fmean(fp32 for fp32, _ in pairs),
        "bf16_val_error": statistics.fmean(bf16 for _, bf16 in pairs),
        "fp32_seed_std": statistics.stdev(fp32 for fp32, _ in pairs),
        "difference": mean,
        "difference_95": [mean - half, mean + half],
    }


def judge(networks: Sequence[Sequence[Pair]]) -> dict[str, Any]:
    """Test over all pairs whether precisions differ by less than the seeds do."""
    margin = math.sqrt(statistics.fmean(statistics.variance(fp32 for fp32, _ in one) for one in networks))
    pairs = [pair for one in networks for pair in one]
    mean, se = _mean_and_se([bf16 - fp32 for fp32, bf16 in pairs])
    freedom = len(pairs) - 1
    too_low, too_high = (mean + margin) / se, (mean - margin) / se
    p = max(float(stats.t.sf(too_low, freedom)), float(stats.t.cdf(too_high, freedom)))
    return {
        **describe_pairs(pairs),
        "fp32_seed_std": margin,
        "tost_p": p,
        "within_seed_noise": p < _LEVEL,
    }


def _mean_and_se(values: Sequence[float]) -> tuple[float, float]:
    # errors are counts, so differences may all be equal
    spread = max(statistics.stdev(values), 1e-12)
    return statistics.fmean(values), spread / math.sqrt(len(values))


def _val_error(architecture: Architecture, compute: Compute, seed: int, epochs: int) -> float:
    settings = TrainingSettings(epochs=epochs, batch_size=64)
    job = Job(0, seed, architecture, settings, DataSettings(name="digits"), compute)
    (end,) = [event for event in _events(job) if isinstance(event, Result)]
    if end.outcome != "complete":
        raise RuntimeError(f"a training failed: {end}")
    return end.metrics["val_error"]


def _events(job: Job) -> list[Any]:
    training, events = train(job), []
    while True:
        try:
            events.append(next(training))
        except StopIteration as end:
            return [*events, end.value]


if __name__ == "__main__":
    main()
