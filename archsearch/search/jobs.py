"""From a trial in the journal to the job that a worker is given."""

from __future__ import annotations

import json
from dataclasses import dataclass

from archsearch.architecture import resolve_architecture
from archsearch.execution import Executor
from archsearch.journal import RunFolder, TrialHistory
from archsearch.study import StudyConfig
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training.values import Checkpointing, Compute, Job

_MEASURED_ALWAYS = (
    "val_accuracy",
    "val_error",
    "val_loss",
    "train_error",
    "parameters",
    "macs",
    "train_time_s",
)


@dataclass(frozen=True)
class Workplace:
    """Where a conductor's jobs run, with which arithmetic, and the run folder."""

    executor: Executor
    compute: Compute
    folder: RunFolder


def build_job(study: StudyConfig, workplace: Workplace, trial: TrialHistory, seed: int) -> Job:
    """Put together everything that is needed to train a replicate."""
    folder, every_s = workplace.folder, study.execution.checkpoint_every_s
    return Job(
        trial=trial.number,
        seed=seed,
        architecture=resolve_architecture(trial.architecture),
        training=TrainingSettings.model_validate_json(json.dumps(dict(trial.training))),
        data=DataSettings.model_validate_json(json.dumps(dict(trial.data))),
        compute=workplace.compute,
        measures=tuple(name for name in study.objectives if name not in _MEASURED_ALWAYS),
        weights_path=str(folder.weights(trial.number, seed)),
        plugins=study.plugins,
        checkpointing=Checkpointing(str(folder.checkpoint(trial.number, seed)), every_s),
    )
