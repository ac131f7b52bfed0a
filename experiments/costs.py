"""What trainings spend until they reach an accuracy."""

from __future__ import annotations

import math

import pandas as pd

from archsearch.statistics.contrasts import Contrast, difference
from archsearch.statistics.samples import Sample
from experiments.evidence import Evidence

TARGETS = (0.4, 0.5)
"""Validation accuracies to be reached in a short training."""
WHOLE_TARGETS = (0.8, 0.9)
"""The same in a whole one."""

_WHOLE_EPOCHS = 100


def list_targets(evidence: Evidence) -> tuple[float, ...]:
    """The validation accuracies to be reached in trainings as long as these."""
    return TARGETS if evidence.studies["epochs"].max() < _WHOLE_EPOCHS else WHOLE_TARGETS


def find_costs(evidence: Evidence) -> pd.DataFrame:
    """What each training spent until it first reached each target; all of its epochs where it never did.

    One that diverged is charged with all epochs of its study, too, in seconds as long as those it trained.
    Multiply-accumulates count forward and backward pass as three forward ones.
    """
    rows = []
    trainings = evidence.trainings
    told = evidence.table("epochs")
    for training in trainings[trainings["outcome"].isin(["complete", "diverged"])].itertuples():
        study, about = str(training.study), evidence.studies.loc[training.study]
        here = (
            (told["study"] == study) & (told["curve"] == training.curve) & (told["depth"] == training.depth)
        )
        epochs = told[here & (told["seed"] == training.seed)]
        for target in list_targets(evidence):
            good = epochs[epochs["val_error"] <= 1 - target]
            needed = int(good["epoch"].min()) if len(good) else int(about["epochs"])
            rows.append(
                {
                    "study": study,
                    "family": training.family,
                    "asked": int(training.depth) if study == "depth" else _asked(evidence, study),
                    "network": training.network,
                    "target": target,
                    "reached": len(good) > 0,
                    "epochs": needed,
                    "macs": 3.0 * float(training.macs) * int(about["train_images"]) * needed,
                    "seconds": float(epochs[epochs["epoch"] <= needed]["seconds"].mean()) * needed,
                }
            )
    return pd.DataFrame(rows)


def list_rivals(evidence: Evidence) -> list[tuple[str, str, int]]:
    """Study, family and depth of what residual networks are compared with."""
    depths = evidence.depths("depth", "block=plain")
    return [
        *(
            (study, curve.family, _asked(evidence, study))
            for study in ("study", "macs")
            for curve in evidence.curves(study).values()
            if curve.family != "residual"
        ),
        *(("depth", "plain", depth) for depth in depths[1:]),
    ]


def compare_costs(own: pd.DataFrame, other: pd.DataFrame) -> Contrast | None:
    """log10 of what others spend over what one's own trainings do.

    Returns:
        None where one of one's own never gets there, or there are too few.
    """
    if min(len(own), len(other)) < 2 or not own["reached"].all():
        return None
    return difference(_sample(own), _sample(other))


def _sample(costs: pd.DataFrame) -> Sample:
    # Read off in whole epochs: so far apart are the logarithms of two neighbours.
    step = 1 / (math.log(10) * float(costs["epochs"].mean()))
    return Sample.of([math.log10(macs) for macs in costs["macs"]], resolution=step)


def _asked(evidence: Evidence, study: str) -> int:
    """The depth that was asked of all families, which dense ones only come near."""
    return next(c.cells[-1].depth for c in evidence.curves(study).values() if c.family == "residual")
