"""Stack (e): Ray Tune with Optuna's search and Lightning in each trial, one CPU a trial."""

from __future__ import annotations

import warnings
from pathlib import Path

import optuna
import pytorch_lightning as pl
import torch
from ray import tune
from ray.tune.search.optuna import OptunaSearch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.hand_written import Classifier
from benchmarks.tasks import Task, normalized_splits


class _Report(pl.Callback):
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        if not trainer.sanity_checking:
            tune.report({"val_accuracy": float(trainer.callback_metrics["val_accuracy"])})


def run(task: Task, folder: str) -> float:
    """Train the sweep; returns the mean validation accuracy. Ray must have been initialised."""
    warnings.simplefilter("ignore")
    trainings = list(task.trainings())

    def trainable(config: dict) -> None:
        torch.set_num_threads(1)
        dataset, splits = normalized_splits(task)
        training = trainings[config["training"]]
        pl.seed_everything(training.seed, verbose=False)
        network = task.network(training.depth, dataset)
        module = Classifier(network, training.learning_rate, dataset.num_classes)
        train_set, val_set = (TensorDataset(*splits[name]) for name in ("train", "val"))
        trainer = pl.Trainer(
            max_epochs=task.epochs,
            logger=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            callbacks=[_Report()],
        )
        trainer.fit(
            module,
            DataLoader(train_set, batch_size=task.batch_size, shuffle=True),
            DataLoader(val_set, batch_size=256),
        )

    space = {"training": optuna.distributions.CategoricalDistribution(range(len(trainings)))}
    sampler = optuna.samplers.GridSampler({"training": list(range(len(trainings)))})
    search = OptunaSearch(space, metric="val_accuracy", mode="max", sampler=sampler)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        tune_config=tune.TuneConfig(search_alg=search, num_samples=len(trainings)),
        run_config=tune.RunConfig(storage_path=str(Path(folder).resolve()), verbose=0),
    )
    results = tuner.fit()
    return sum(result.metrics["val_accuracy"] for result in results) / len(results)
