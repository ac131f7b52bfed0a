"""What a benchmark ran on, and how its figures are summed up."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archsearch.application.provenance import find_processor
from archsearch.training.hardware import computes_bf16


def describe_machine() -> dict[str, Any]:
    """Processor, cores and versions, for the head of a result."""
    libraries = ("torch", "pytorch-lightning", "optuna", "mlflow", "archsearch")
    return {
        "machine": platform.machine(),
        "processor": find_processor(),
        "bf16": computes_bf16("cpu"),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: _version(name) for name in libraries},
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # Not every benchmark needs all of them.
        return "not installed"


def summarize(values: Sequence[float]) -> dict[str, float]:
    """Median, least and largest of some measurements, and how many they are."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "n": len(values),
    }


def write_result(name: str, protocol: dict[str, Any], results: Any, output: Path | None) -> None:
    """Print a result as JSON, and write it where an output is given."""
    document = {"benchmark": name, "protocol": protocol, "machine": describe_machine(), "results": results}
    text = json.dumps(document, indent=2)
    print(text)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text + "\n", encoding="utf-8")
