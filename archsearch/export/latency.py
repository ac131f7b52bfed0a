"""How long one image takes in each format, on this machine."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

_WARMUP_RUNS = 5
_TIMED_RUNS = 30


def measure_latencies(
    runs: Mapping[str, Callable[[Tensor], object]], image: Tensor, *, processor: str
) -> dict[str, Any]:
    """Measure each format on one raw image ``[1, …]``; milliseconds, and how and on what processor."""
    return {
        "protocol": f"one raw image; median and quartiles of {_TIMED_RUNS} runs after {_WARMUP_RUNS} more",
        "machine": describe_machine(processor),
        "ms": {name: measure_latency(run, image) for name, run in runs.items()},
    }


def measure_latency(run: Callable[[Tensor], object], image: Tensor) -> dict[str, float]:
    """Return median and quartiles, in milliseconds, of runs that begin and end on the CPU."""
    times_ms = []
    with torch.inference_mode():
        for number in range(_WARMUP_RUNS + _TIMED_RUNS):
            start = time.perf_counter()
            run(image)
            if number >= _WARMUP_RUNS:
                times_ms.append((time.perf_counter() - start) * 1000)
    low, median, high = statistics.quantiles(times_ms, n=4)
    return {"median": median, "quartile_low": low, "quartile_high": high}


def describe_machine(processor: str) -> str:
    """Name what was measured on."""
    count = torch.get_num_threads()
    threads = "1 thread" if count == 1 else f"{count} threads"
    return f"{processor}, {platform.system()} {platform.machine()}, {threads}, torch {torch.__version__}"
