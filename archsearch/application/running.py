"""Run a study: from its file to trained networks, a journal, and MLflow."""

from __future__ import annotations

import importlib.metadata
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archsearch.analysis.depth_curve import find_latency_ms
from archsearch.application.deciding import count_at_once, decide_compute, explain_workers
from archsearch.application.mirroring import build_mirror
from archsearch.application.preparing import prepare_data
from archsearch.application.provenance import describe_provenance, explain_changes, find_versions
from archsearch.application.replicating import find_undecided
from archsearch.application.room import find_room, list_largest
from archsearch.application.sampling import sample_specs
from archsearch.application.stopping import Stopping
from archsearch.data import Dataset
from archsearch.errors import RunFolderError, StudyError, Terminated
from archsearch.execution import Devices, build_executor, choose_devices
from archsearch.journal import Journal, Record, RunFolder, RunFolderLock, StudyHistory, TrialHistory
from archsearch.search.conductor import Conductor
from archsearch.search.jobs import Workplace
from archsearch.search.ranking import finished_trials, pareto_front, rank, reported_trials
from archsearch.study import StudyConfig, check_growth
from archsearch.study.settings import ExecutionSettings
from archsearch.tracking import MirrorProcess, MirrorStatus, hide_passwords
from archsearch.training.values import Compute


@dataclass(frozen=True)
class Outcome:
    """How a run of a study ended.

    Attributes:
        study: The study.
        folder: Its run folder.
        history: All that its journal says.
        reason: Why it ended.
        tracking_uri: Where MLflow's store is; empty where tracking is off.
        mirrored: What the mirror wrote; None where tracking is off.
    """

    study: StudyConfig
    folder: RunFolder
    history: StudyHistory
    reason: str
    tracking_uri: str
    mirrored: MirrorStatus | None

    @property
    def best(self) -> list[TrialHistory]:
        """The trials that the study's answer rests on, best first."""
        return rank(reported_trials(self.history.trials.values()), self.study.objectives)

    @property
    def best_of_search(self) -> list[TrialHistory]:
        """The trials of the search, best first, as it saw them: under one seed."""
        searched = finished_trials(self.history.trials.values(), phases=["search"])
        return rank(searched, self.study.objectives)

    @property
    def counts(self) -> dict[str, int]:
        """Number of trials by outcome."""
        return dict(Counter(trial.outcome or "unfinished" for trial in self.history.trials.values()))

    def to_mapping(self) -> dict[str, Any]:
        """The outcome as JSON's values, for programs."""
        best = self.best[0] if self.best else None
        return {
            "study": self.study.name,
            "run_folder": str(self.folder.path),
            "reason": self.reason,
            "trials": self.counts,
            "best": best and _best_mapping(best, self.study),
            "mlflow": {
                "uri": self.tracking_uri,
                "experiment_id": self.mirrored.experiment_id if self.mirrored else None,
            },
        }


def run_study(
    study: StudyConfig,
    *,
    runs_folder: str | Path = "runs",
    recall: Callable[[Sequence[Record]], None] = lambda _: None,
    listen: Callable[[Record], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    conclude: Callable[[RunFolder, StudyHistory], object] = lambda *_: None,
    mirror: MirrorProcess | None = None,
    stopping: Stopping | None = None,
) -> Outcome:
    """Run a study to its end, or go on where it stopped.

    Args:
        study: The study, as `archsearch.study.load_study` gives it.
        runs_folder: Folder of all run folders.
        recall: Called once with the records that the journal holds before anything is trained.
        listen: Called with each journal record that is written from then on.
        say: Called with sentences for the person who waits.
        conclude: Called once when nothing is left to train, and before MLflow is left: to write a report.
        mirror: That of `build_mirror`, where it was started ahead.
        stopping: Says when to start nothing more; without it Ctrl-C stops at once.

    Raises:
        StudyError: The study is not the one that was begun under its name, or not for this machine.
        DataError: Its data are missing or wrong.
        RunFolderError: The run folder is read-only, in use, or another study's.
        KeyboardInterrupt: It was stopped; the journal says so, and nothing is left running.
    """
    stopping = stopping or Stopping()
    dataset = prepare_data(study)
    folder = RunFolder.of(study.name, runs_folder)
    with ExitStack() as stack:
        stack.enter_context(RunFolderLock(folder.path))
        journal = stack.enter_context(Journal.open(folder.journal))
        if journal.healed:
            say(journal.healed)
        devices = _find_devices(study.execution, _decided(journal))
        _open_study(study, journal, folder, dataset)
        _ask(study, journal)
        mirror = mirror or build_mirror(study, runs_folder, say)
        compute = _compute(study, journal, dataset, devices, say, mirror)
        if changed := explain_workers(study.execution, devices, compute.threads):
            say(changed)
        executor = build_executor(
            study.execution,
            devices=devices,
            threads=compute.threads,
            per_device=compute.workers_per_device,
        )
        workplace = Workplace(executor, compute, folder)
        recall(tuple(journal.records))
        conductor = Conductor(
            study,
            journal,
            workplace,
            listen=listen,
            undecided=find_undecided,
            winding_down=lambda: stopping.winding_down,
        )
        if mirror:
            # Where it was not started ahead, not before, for it imports MLflow, and would be in the way of
            # what is measured above.
            stack.enter_context(mirror)
        work_left = conductor.take_up()
        reason = conductor.history.finished or ""
        if work_left or not reason:
            reason = _train(study, conductor, workplace, stack, say, work_left=work_left, stopping=stopping)
        conductor.close()
        conclude(folder, conductor.history)
        mirrored = mirror.close() if mirror else None
        uri = hide_passwords(mirror.uri) if mirror else ""
        return Outcome(study, folder, conductor.history, reason, uri, mirrored)


def _train(
    study: StudyConfig,
    conductor: Conductor,
    workplace: Workplace,
    stack: ExitStack,
    say: Callable[[str], None],
    *,
    work_left: bool,
    stopping: Stopping,
) -> str:
    try:
        if work_left:
            stack.enter_context(workplace.executor)
        # Only now: a cluster must be asked how many trials it takes at a time.
        session = _session(study, workplace)
        if changed := explain_changes(conductor.history, session):
            say(changed)
        conductor.record("session", **session)
        with stopping.finishing():
            reason = conductor.run()
        if stopping.winding_down:
            raise KeyboardInterrupt
        _test(conductor, study.objectives)
    except KeyboardInterrupt as stop:
        by = "terminated by SIGTERM" if isinstance(stop, Terminated) else "stopped from the keyboard"
        conductor.record("interrupted", reason=by)
        raise
    conductor.record("finished", reason=reason)
    return reason


def _test(conductor: Conductor, objectives: Mapping[str, str]) -> None:
    """Read the test set, once, for the networks that the study reports."""
    from archsearch.training.evaluation import evaluate_test

    for trial in tested_trials(conductor.history, objectives):
        for seed in trial.seeds:
            replicate = trial.replicates.get(seed)
            # A budget may have ended before a seed that was added.
            if replicate is None or replicate.outcome != "complete":
                continue
            source = trial.number if replicate.repeated_of is None else replicate.repeated_of
            if not replicate.test:
                job = conductor.job(source, seed)
                known = find_latency_ms(conductor.trials[trial.number])
                metrics = evaluate_test(job, job.weights_path or "", latency_ms=known)
                conductor.record("test", trial=trial.number, seed=seed, metrics=metrics)


def tested_trials(history: StudyHistory, objectives: Mapping[str, str]) -> list[TrialHistory]:
    """The trials whose test error is reported: every cell's final one, of a mere search its best."""
    reported = reported_trials(history.trials.values())
    searched = [trial for trial in reported if trial.phase == "search"]
    if not searched:
        return reported
    ranked = rank(searched, objectives)
    best = ranked[:1] if len(objectives) == 1 else pareto_front(ranked, objectives)
    return [trial for trial in reported if trial in best or trial.phase == "include"]


def _open_study(study: StudyConfig, journal: Journal, folder: RunFolder, dataset: Dataset) -> None:
    if journal.records:
        header = journal.records[0].fields
        check_growth(header["identity"], study)
        if header["data_fingerprint"] != dataset.fingerprint:
            raise RunFolderError(
                "holds a study of other data: the images, labels or split have changed since",
                path=str(folder.path),
                fix="Give the study a new name, or bring the old data back.",
            )
    else:
        journal.append(
            "study",
            uid=uuid.uuid4().hex,
            name=study.name,
            archsearch=importlib.metadata.version("archsearch"),
            identity=study.identity(),
            text=study.public_text,
            source=study.source,
            input_shape=dataset.input_shape,
            classes=dataset.num_classes,
            class_names=dataset.classes,
            train_images=len(dataset.train.labels),
            val_images=len(dataset.val.labels),
            data_fingerprint=dataset.fingerprint,
            objectives=dict(study.objectives),
            versions=find_versions(),
        )
    folder.save_study(study.public_text)


def _ask(study: StudyConfig, journal: Journal) -> None:
    """Record what the study asks for by now: what it holds beside its identity may change and grow."""
    question = {
        "text": study.public_text,
        "source": study.source,
        "smallest_difference": study.smallest_difference,
        "seeds": {"fewest": len(study.seeds), "most": len(study.seeds) + len(study.more_seeds)},
        "cells": [dict(cell.values) for cell in study.cells()],
    }
    asked = [record.fields for record in journal.records if record.kind == "question"]
    if not asked or json.loads(json.dumps(question)) != asked[-1]:
        journal.append("question", **question)


def _decided(journal: Journal) -> Compute | None:
    """The arithmetic that a study began with."""
    found = [record.fields for record in journal.records if record.kind == "compute"]
    return Compute(**found[-1]) if found else None


def _find_devices(settings: ExecutionSettings, decided: Compute | None) -> Devices:
    """Find the devices of the kind that the study began on: its trials are compared with each other."""
    if decided is None:
        return choose_devices(settings)
    if settings.device not in ("auto", decided.device):
        raise StudyError(
            f"must be auto or {decided.device}, on which the study began, for its trials are compared with "
            "each other",
            path="execution.device",
            got=settings.device,
            fix="Give the study another name to begin it anew.",
        )
    try:
        return choose_devices(settings.model_copy(update={"device": decided.device}))
    except StudyError as error:
        if settings.device != "auto" or error.path != "execution.device":
            raise
        raise StudyError(
            f"the study began on {decided.device}, which this machine does not have",
            path="execution.device",
            fix="Go on where there is such a device, or give the study another name to begin it anew.",
        ) from error


def _compute(
    study: StudyConfig,
    journal: Journal,
    dataset: Dataset,
    devices: Devices,
    say: Callable[[str], None],
    mirror: MirrorProcess | None,
) -> Compute:
    if (decided := _decided(journal)) is not None:
        return decided
    if mirror:
        mirror.wait_until_ready()
    specs = sample_specs(study)
    compute = decide_compute(study, specs, dataset, devices)
    journal.append("compute", **asdict(compute))
    say(f"Arithmetic: {compute.reason}")
    # The nodes of a cluster are not this machine.
    if study.execution.executor != "ray":
        at_once, ranks = count_at_once(study.execution, devices, compute), study.execution.devices_per_trial
        # The largest suffice to see whether there is anything to say.
        if find_room(list_largest(specs), compute, ranks).warn(at_once):
            say(find_room(specs, compute, ranks).warn(at_once))
    return compute


def _session(study: StudyConfig, workplace: Workplace) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "executor": study.execution.executor,
        "slots": workplace.executor.slots,
        "devices_per_trial": study.execution.devices_per_trial,
        "clock": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        **describe_provenance(workplace.compute.device, local=study.execution.executor != "ray"),
    }


def _best_mapping(trial: TrialHistory, study: StudyConfig) -> dict[str, Any]:
    assert trial.objective_values is not None
    return {
        "trial": trial.number,
        "name": trial.name,
        "value": trial.objective_values[0],
        "values": dict(zip(study.objectives, trial.objective_values, strict=True)),
        "architecture": dict(trial.architecture),
        "metrics": dict(trial.metrics),
    }
