"""Stack (d): what people write by hand: Optuna on SQLite, Lightning's Trainer and its MLflow logger."""

from __future__ import annotations

import os
import warnings

import mlflow
import optuna
import pytorch_lightning as pl
import torch
import torchmetrics
from pytorch_lightning.loggers import MLFlowLogger
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.tasks import Task, normalized_splits


class Classifier(pl.LightningModule):
    """The module that both stacks with Lightning train; its methods are Lightning's."""

    def __init__(self, network: torch.nn.Module, learning_rate: float, classes: int) -> None:
        super().__init__()
        self.network, self.learning_rate = network, learning_rate
        self.train_accuracy = torchmetrics.classification.MulticlassAccuracy(classes, average="micro")
        self.val_accuracy = torchmetrics.classification.MulticlassAccuracy(classes, average="micro")

    def training_step(self, batch: tuple, _: int) -> torch.Tensor:  # noqa: D102
        images, labels = batch
        logits = self.network(images)
        loss = functional.cross_entropy(logits, labels)
        self.train_accuracy(logits, labels)
        self.log("train_loss", loss, prog_bar=True)
        self.log("train_accuracy", self.train_accuracy, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple, _: int) -> None:  # noqa: D102
        images, labels = batch
        logits = self.network(images)
        self.val_accuracy(logits, labels)
        self.log("val_loss", functional.cross_entropy(logits, labels), prog_bar=True)
        self.log("val_accuracy", self.val_accuracy, prog_bar=True)

    def configure_optimizers(self) -> dict:  # noqa: D102
        optimizer = torch.optim.SGD(self.parameters(), self.learning_rate, momentum=0.9, weight_decay=1e-4)
        steps = self.trainer.estimated_stepping_batches
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=int(steps), cycle_momentum=False
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def run(task: Task, folder: str) -> float:
    """Train the sweep; returns the mean validation accuracy."""
    warnings.simplefilter("ignore")
    os.chdir(folder)
    uri = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    dataset, splits = normalized_splits(task)
    trainings = list(task.trainings())
    train_set, val_set = (TensorDataset(*splits[name]) for name in ("train", "val"))

    def objective(trial: optuna.Trial) -> float:
        training = trainings[trial.suggest_int("training", 0, len(trainings) - 1)]
        pl.seed_everything(training.seed, verbose=False)
        network = task.network(training.depth, dataset)
        module = Classifier(network, training.learning_rate, dataset.num_classes)
        logger = MLFlowLogger(task.name, tracking_uri=uri)
        logger.log_hyperparams({**training._asdict(), "width": task.width})
        trainer = pl.Trainer(max_epochs=task.epochs, logger=logger)
        trainer.fit(
            module,
            DataLoader(train_set, batch_size=task.batch_size, shuffle=True),
            DataLoader(val_set, batch_size=256),
        )
        return float(trainer.callback_metrics["val_accuracy"])

    sampler = optuna.samplers.GridSampler({"training": list(range(len(trainings)))})
    study = optuna.create_study(
        storage=f"sqlite:///{folder}/optuna.db", direction="maximize", sampler=sampler
    )
    study.optimize(objective, n_trials=len(trainings))
    return sum(trial.value or 0.0 for trial in study.trials) / len(study.trials)
