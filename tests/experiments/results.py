"""Made-up results of a claim, as its command would have written them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

Errors = Mapping[tuple[str, str, int], Sequence[float]]
"""By study, curve and depth: the training, validation and test error of each seed, all the same."""


def write_results(folder: Path, errors: Errors, **about: Any) -> None:
    """Write the tables that every claim has; `about` replaces what is said of the studies."""
    folder.mkdir(parents=True, exist_ok=True)
    trainings = [
        {
            "study": study,
            "curve": curve,
            "family": curve.partition(" ")[0].removeprefix("block=") if "block=" in curve else "residual",
            "depth": depth,
            "network": f"{curve}-{depth}",
            "parameters": 1000 * depth,
            "macs": 10_000 * depth,
            "seed": seed,
            "outcome": "complete",
            "train_error": error,
            "val_error": error,
            "test_error": error,
            "epochs": 3,
            "train_time_s": 1.0,
            "initial_gradient_ratio": 1.0,
            "gradient_ratio": 1.0,
        }
        for (study, curve, depth), values in errors.items()
        for seed, error in enumerate(values)
    ]
    studies = [
        {
            "study": study,
            "name": study,
            "data": "image_folder",
            "files": "JPEG",
            "classes": 10,
            "train_images": 1000,
            "val_images": 10**9,
            "test_images": 10**9,
            "epochs": 3,
            "smallest_difference": 0.01,
            "trainings": 3,
            "macs": 10**9,
            "device": "some processor",
            "torch": "2",
            "archsearch": "0",
            **about,
        }
        for study in dict.fromkeys(study for study, _, _ in errors)
    ]
    pd.DataFrame(trainings).to_csv(folder / "trainings.csv", index=False)
    pd.DataFrame(studies).to_csv(folder / "studies.csv", index=False)


def spread(mean: float, by: float = 0.001) -> tuple[float, ...]:
    """Three seeds about a mean."""
    return tuple(round(value, 6) for value in (mean - by, mean, mean + by))
