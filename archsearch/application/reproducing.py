"""Train a trial of a study again, beside its journal, and compare."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import load_file

from archsearch.analysis.reproduction import Reproduction, Training, compare_trainings
from archsearch.application.provenance import describe_provenance
from archsearch.application.studies import pick_trial
from archsearch.application.trained import load_data
from archsearch.errors import InputError
from archsearch.execution import Executor, build_executor, choose_devices
from archsearch.journal import ReplicateHistory, RunFolder, SessionHistory, StudyHistory, TrialHistory
from archsearch.search.jobs import Workplace, build_job
from archsearch.study import StudyConfig, parse_study
from archsearch.study.settings import ExecutionSettings
from archsearch.training.values import TRAINED_ALONE, Compute, Job, Pack, Replicate, Result


@dataclass(frozen=True)
class ReproducedReplicate:
    """A replicate that was trained again.

    Attributes:
        trial: Number of the trial that was trained; of one that repeats another, that other one.
        packed: Seeds that it was trained with as one network, then and now, its own included; empty alone.
        found: How the two trainings compare.
        changed: What is not as it was then, by name: (then, now).
    """

    trial: int
    seed: int
    packed: tuple[int, ...]
    found: Reproduction
    changed: Mapping[str, tuple[str, str]]

    def to_mapping(self) -> dict[str, Any]:
        """As JSON's values."""
        changed = {name: {"then": then, "now": now} for name, (then, now) in self.changed.items()}
        where = {"trial": self.trial, "seed": self.seed, "packed": list(self.packed)}
        return {**where, **self.found.to_mapping(), "changed": changed}


def reproduce_trial(
    study: str,
    number: int,
    *,
    seed: int | None = None,
    runs_folder: str | Path = "runs",
    say: Callable[[str], None] = lambda _: None,
) -> list[ReproducedReplicate]:
    """Train the replicates of a trial again, with the journal's settings, arithmetic, threads and packing.

    Nothing is written into the run folder.

    Args:
        study: Name of a study that was run, or its run folder.
        number: The trial.
        seed: One of its seeds; None takes all that have ended.
        runs_folder: Folder of all run folders.
        say: Called with sentences for the person who waits.

    Raises:
        RunFolderError: The study was not run.
        InputError: There is no such trial or seed, or nothing of it was trained to an end.
        StudyError: This machine has no device of the kind that it was trained on.
    """
    folder = RunFolder.find(study, runs_folder)
    history = folder.history()
    asked = _find_replicates(history, number, seed)
    compute = Compute(**(history.compute or {}))
    # It loads the plugins, too.
    dataset, _ = load_data(folder, asked[0][0])
    config = parse_study(folder.study.read_text(encoding="utf-8"), str(folder.study))
    reproduced = []
    groups: dict[tuple[int, tuple[int, ...]], list[tuple[TrialHistory, ReplicateHistory]]] = {}
    for trial, replicate in asked:
        groups.setdefault((trial.number, _pack_of(replicate)), []).append((trial, replicate))
    for (_, packed), members in groups.items():
        trial = members[0][0]
        say(f"Trains trial {trial.number} ({trial.name}) again, under {_named(packed)}.")
        again = _train_again(config, history, members, packed, compute)
        for _, replicate in members:
            recorded = _recorded(folder, trial, replicate)
            found = compare_trainings(recorded, again[replicate.seed], precision=compute.precision)
            changed = _find_changes(history, trial, replicate, compute, dataset.fingerprint)
            together = packed if len(packed) > 1 else ()
            reproduced.append(ReproducedReplicate(trial.number, replicate.seed, together, found, changed))
    return reproduced


def _find_replicates(
    history: StudyHistory, number: int, seed: int | None
) -> list[tuple[TrialHistory, ReplicateHistory]]:
    """Return what has ended of a trial; in place of what repeats another, that other training."""
    trial = pick_trial(history, number, path="--trial")
    if seed is not None and seed not in trial.seeds:
        known = f"It has {_named(trial.seeds)}."
        raise InputError("must be a seed of the trial", path="--seed", got=seed, fix=known)
    found = []
    for replicate in trial.replicates.values():
        if seed in (None, replicate.seed) and replicate.outcome in ("complete", "stopped", "failed"):
            source = trial if replicate.repeated_of is None else history.trials[replicate.repeated_of]
            found.append((source, source.replicates[replicate.seed]))
    if not found:
        reason = f": {trial.reason}" if trial.reason else ""
        state = f"Its outcome is {trial.outcome}{reason}." if trial.outcome else "It is not finished yet."
        raise InputError(
            "must be a trial of which a training has ended", path="--trial", got=number, fix=state
        )
    return found


def _pack_of(replicate: ReplicateHistory) -> tuple[int, ...]:
    """Return the seeds that it was really trained with as one network."""
    alone = not replicate.packed or replicate.note.startswith(TRAINED_ALONE)
    return (replicate.seed,) if alone else replicate.packed


def _train_again(
    study: StudyConfig,
    history: StudyHistory,
    members: Sequence[tuple[TrialHistory, ReplicateHistory]],
    seeds: Sequence[int],
    compute: Compute,
) -> dict[int, Training]:
    """Train seeds of one trial together, in a folder of their own that is removed; returns them by seed."""
    trial, first = members[0]
    stops = {
        (trial.number, replicate.seed): len(replicate.epochs)
        for _, replicate in members
        if replicate.outcome == "stopped"
    }
    settings = _settings_of(history, first, compute)
    with tempfile.TemporaryDirectory(prefix="archsearch-reproduce-") as place:
        scratch = RunFolder(Path(place))
        devices = choose_devices(settings)
        with build_executor(settings, devices=devices, threads=compute.threads) as executor:
            workplace = Workplace(executor, compute, scratch)
            jobs = tuple(build_job(study, workplace, trial, seed) for seed in seeds)
            ended = _run_jobs(jobs, executor, stops)
        return {
            result.seed: Training(
                result.outcome, epochs, result.metrics, _load_weights(scratch, trial.number, result.seed)
            )
            for result, epochs in ended
        }


def _settings_of(history: StudyHistory, replicate: ReplicateHistory, compute: Compute) -> ExecutionSettings:
    session = {} if replicate.session is None else history.sessions[replicate.session].fields
    # A worker of a cluster is one process of its own, as that of a machine is.
    executor: Literal["inline", "local"] = "inline" if session.get("executor") == "inline" else "local"
    return ExecutionSettings(
        executor=executor,
        workers="auto" if executor == "inline" else 1,
        devices_per_trial=session.get("devices_per_trial", 1),
        device=compute.device,
    )


def _run_jobs(
    jobs: tuple[Job, ...], executor: Executor, stops: Mapping[Replicate, int]
) -> list[tuple[Result, list[Mapping[str, float]]]]:
    """Train jobs together; each is stopped after its number of epochs, where it has one."""
    epochs: dict[Replicate, list[Mapping[str, float]]] = {job.replicate: [] for job in jobs}
    results: list[Result] = []
    executor.submit(jobs[0] if len(jobs) == 1 else Pack(jobs))
    while (event := executor.wait(None)) is not None:
        if isinstance(event, Result):
            results.append(event)
            continue
        # A pack that cannot go on together begins again, one by one.
        epochs[event.replicate] = [*epochs[event.replicate][: event.epoch], event.metrics]
        if event.epoch + 1 == stops.get(event.replicate):
            executor.stop(event.trial, event.seed)
    return [(result, epochs[result.replicate]) for result in results]


def _recorded(folder: RunFolder, trial: TrialHistory, replicate: ReplicateHistory) -> Training:
    weights = _load_weights(folder, trial.number, replicate.seed)
    return Training(replicate.outcome or "", replicate.epochs, replicate.metrics, weights)


def _load_weights(folder: RunFolder, trial: int, seed: int) -> dict[str, Any] | None:
    path = folder.weights(trial, seed)
    return load_file(path) if path.is_file() else None


def _find_changes(
    history: StudyHistory, trial: TrialHistory, replicate: ReplicateHistory, compute: Compute, data: str
) -> dict[str, tuple[str, str]]:
    """What is not as it was when a replicate was recorded; what was not recorded is left out."""
    now = SessionHistory(describe_provenance(compute.device), 0.0, 0.0).provenance
    then: dict[str, str] = {}
    if replicate.session is not None:
        then = dict(history.sessions[replicate.session].provenance)
    if trial.data_fingerprint:
        then["data"], now["data"] = trial.data_fingerprint, data
    changed = {name: (value, now.get(name, "none")) for name, value in then.items()}
    return {name: pair for name, pair in changed.items() if pair[0] != pair[1]}


def _named(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
