"""From a trial of the journal to the job that trains one of its replicates."""

from __future__ import annotations

import json

from archsearch.architecture import resolve_architecture
from archsearch.journal import RunFolder, TrialHistory
from archsearch.study import StudyConfig
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training.values import Compute, Job

_MEASURED_ALWAYS = (
    "val_accuracy",
    "val_error",
    "val_loss",
    "train_error",
    "parameters",
    "macs",
    "train_time_s",
)


def build_job(study: StudyConfig, trial: TrialHistory, seed: int, compute: Compute, folder: RunFolder) -> Job:
    """Put together everything that is needed to train a replicate.

    Args:
        study: For what is measured, and its plugins.
        trial: As the journal describes it.
        seed: One of its seeds.
        compute: The study's arithmetic.
        folder: Where the trained weights go.
    """
    return Job(
        trial=trial.number,
        seed=seed,
        architecture=resolve_architecture(trial.architecture),
        training=TrainingSettings.model_validate_json(json.dumps(dict(trial.training))),
        data=DataSettings.model_validate_json(json.dumps(dict(trial.data))),
        compute=compute,
        measures=tuple(name for name in study.objectives if name not in _MEASURED_ALWAYS),
        weights_path=str(folder.weights(trial.number, seed)),
        plugins=study.plugins,
    )
