"""A chosen architecture trained afresh under fresh seeds, at full length; and what its choice promised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from archsearch.architecture import resolve_architecture
from archsearch.data import Dataset
from archsearch.data.dataset import Split, build_dataset
from archsearch.data.loading import give_dataset
from archsearch.errors import ArchsearchError, InputError
from archsearch.journal import RunFolder, StudyHistory, TrialHistory
from archsearch.search.ranking import finished_trials, reported_trials
from archsearch.statistics.intervals import mean_interval
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import Compute, Job, Result, train

RULE = "the seed of the lowest loss on its own training images, in evaluation mode; the first of equals"
"""How one of the seeds is picked, whatever they show on other images."""

_PICKED_BY = "train_loss_eval"
_JOINED = "+val"


@dataclass(frozen=True)
class Retraining:
    """What was asked for.

    Attributes:
        epochs: None takes those of the trial.
        seeds: How many.
        data: Images to train on.
    """

    epochs: int | None = None
    seeds: int = 3
    data: Literal["train", "train+val"] = "train+val"


@dataclass(frozen=True)
class Retrained:
    """What came of it.

    Attributes:
        weights: File of the weights of the seed that was picked.
        seed: That seed.
        dataset: What it was trained on, whose figures normalise its input; `val` may be part of `train`.
        facts: All of it as JSON's values.
    """

    weights: Path
    seed: int
    dataset: Dataset
    facts: dict[str, Any]


def retrain(
    folder: RunFolder,
    trial: TrialHistory,
    dataset: Dataset,
    request: Retraining,
    *,
    plugins: tuple[str, ...],
    say: Callable[[str], None],
) -> Retrained:
    """Train a trial's architecture with its settings under seeds that the study has not used.

    What was trained is kept in the run folder, and not trained again.

    Raises:
        InputError: This machine lacks the device that the study was trained on.
        ArchsearchError: No seed was trained to its end.
    """
    history = folder.history()
    together = _join(dataset) if request.data == "train+val" else dataset
    seeds = _fresh_seeds(history, request.seeds)
    epochs = request.epochs or int(trial.training["epochs"])
    jobs = [_job(history, trial, together, epochs=epochs, seed=seed, plugins=plugins) for seed in seeds]
    runs = [_train(job, together, folder, say) for job in jobs]
    complete = [run for run in runs if run.metrics]
    if not complete:
        raise ArchsearchError(f"No seed could be trained again: {runs[0].reason}")
    picked = min(complete, key=lambda run: (run.metrics[_PICKED_BY], run.seed))
    facts = {
        "data": request.data,
        "images": len(together.train),
        "epochs": epochs,
        "rule": RULE,
        "picked_seed": picked.seed,
        "seeds": [{"seed": run.seed, "reason": run.reason, **run.metrics} for run in runs],
        "optimism": _optimism(history, trial, dataset, folder, request, plugins, say),
    }
    return Retrained(picked.weights, picked.seed, together, facts)


@dataclass(frozen=True)
class _Run:
    seed: int
    weights: Path
    metrics: dict[str, float]
    reason: str = ""


def _join(dataset: Dataset) -> Dataset:
    train = Split(
        torch.cat([dataset.train.images, dataset.val.images]),
        torch.cat([dataset.train.labels, dataset.val.labels]),
    )
    return build_dataset(dataset.name + _JOINED, train, dataset.val, dataset.test, classes=dataset.classes)


def _fresh_seeds(history: StudyHistory, count: int) -> list[int]:
    used = {seed for trial in history.trials.values() for seed in (*trial.seeds, *trial.replicates)}
    first = max(used, default=-1) + 1
    return list(range(first, first + count))


def _job(
    history: StudyHistory,
    trial: TrialHistory,
    dataset: Dataset,
    *,
    epochs: int,
    seed: int,
    plugins: tuple[str, ...],
) -> Job:
    compute = Compute(**{**(history.compute or {}), "pack": 1})
    if compute.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "must be called on a machine with the device that the study was trained on",
            path="--retrain",
            got=compute.device,
        )
    data = DataSettings.model_validate_json(json.dumps(dict(trial.data)))
    training = TrainingSettings.model_validate_json(json.dumps({**trial.training, "epochs": epochs}))
    # under its own name, so that the joined images are never taken for the study's
    return Job(
        trial=trial.number,
        seed=seed,
        architecture=resolve_architecture(trial.architecture),
        training=training,
        data=data.model_copy(update={"name": dataset.name}),
        compute=compute,
        plugins=plugins,
    )


def _train(job: Job, dataset: Dataset, folder: RunFolder, say: Callable[[str], None]) -> _Run:
    weights = folder.path / "retrained" / f"{_key(job, dataset)}.safetensors"
    record = weights.with_suffix(".json")
    if record.is_file() and weights.is_file():
        say(f"Seed {job.seed} on {dataset.name}: trained before.")
        return _Run(job.seed, weights, json.loads(record.read_text(encoding="utf-8")))
    weights.parent.mkdir(exist_ok=True)
    give_dataset(job.data, dataset)
    result = _finish(replace(job, weights_path=str(weights)))
    if result.outcome != "complete":
        say(f"Seed {job.seed} on {dataset.name}: {result.outcome} ({result.reason}).")
        return _Run(job.seed, weights, {}, result.reason)
    say(f"Seed {job.seed} on {dataset.name}: trained in {result.metrics['train_time_s']:.0f} s.")
    metrics = result.metrics
    if dataset.name.endswith(_JOINED):
        # images that it was trained on say nothing
        metrics = {name: value for name, value in metrics.items() if not name.startswith("val_")}
    record.write_text(json.dumps(metrics), encoding="utf-8")
    return _Run(job.seed, weights, metrics)


def _key(job: Job, dataset: Dataset) -> str:
    parts = [
        job.architecture.id,
        job.training.model_dump(mode="json"),
        dataset.fingerprint,
        {**asdict(job.compute), "reason": ""},
    ]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
    return f"trial-{job.trial:04d}-{digest}-seed-{job.seed}"


def _finish(job: Job) -> Result:
    events = train(job)
    try:
        while True:
            next(events)
    except StopIteration as end:
        result: Result = end.value
        return result


def _optimism(
    history: StudyHistory,
    trial: TrialHistory,
    dataset: Dataset,
    folder: RunFolder,
    request: Retraining,
    plugins: tuple[str, ...],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Compare what the trial was chosen for with what fresh seeds reach on the same validation images."""
    promised, candidates, what = _find_promise(history, trial)
    fresh = [r.metrics["val_accuracy"] for r in trial.replicates.values() if r.outcome == "complete"]
    source = "the study's own confirmations, whose seeds its search had not used"
    if trial.phase != "confirm":
        epochs = int(trial.training["epochs"])
        seeds = _fresh_seeds(history, request.seeds)
        jobs = [_job(history, trial, dataset, epochs=epochs, seed=seed, plugins=plugins) for seed in seeds]
        runs = [_train(job, dataset, folder, say) for job in jobs]
        fresh = [run.metrics["val_accuracy"] for run in runs if run.metrics]
        source = "trainings made for this, on the study's own split"
    if promised is None or not fresh:
        return {"why_not": "there is no value by which it was chosen, or no fresh seed was trained"}
    return {"measure": "val_accuracy", "chosen_by": what, "candidates": candidates, "promised": promised} | (
        _compare(promised, fresh) | {"fresh_from": source}
    )


def _compare(promised: float, fresh: Sequence[float]) -> dict[str, Any]:
    found = mean_interval(fresh)
    known = found.low is not None and found.high is not None
    return {
        "fresh": list(fresh),
        "fresh_mean": found.mean,
        "fresh_low": found.low,
        "fresh_high": found.high,
        "optimism": promised - found.mean,
        "optimism_low": promised - found.high if known and found.high is not None else None,
        "optimism_high": promised - found.low if known and found.low is not None else None,
        "interval": "95 %, of the mean over fresh seeds",
    }


def _find_promise(history: StudyHistory, trial: TrialHistory) -> tuple[float | None, int, str]:
    """Return the validation accuracy for which a trial was chosen, of how many, and what it is."""
    searched = [
        other
        for other in finished_trials(history.trials.values(), phases=["search"])
        if dict(other.cell) == dict(trial.cell)
    ]
    if trial.phase in ("confirm", "search"):
        same = [
            other
            for other in searched
            if other.architecture_id == trial.architecture_id and dict(other.training) == dict(trial.training)
        ]
        values = [other.metrics["val_accuracy"] for other in same if "val_accuracy" in other.metrics]
        best = max((other.metrics.get("val_accuracy", 0.0) for other in searched), default=0.0)
        chosen = max(values, default=None)
        what = "the best of the search" if chosen == best else "its value in the search, not the best"
        return chosen, len(searched), f"{what}, under one seed"
    reported = reported_trials(history.trials.values())
    return trial.metrics.get("val_accuracy"), len(reported), "its mean over the seeds of the study"
