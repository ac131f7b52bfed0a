"""Run a study: from its file to trained networks, a journal, and MLflow."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archsearch.analysis.depth_curve import find_latency_ms
from archsearch.analysis.wording import taken_over
from archsearch.application.deciding import count_at_once, decide_compute, explain_workers
from archsearch.application.html import write_table
from archsearch.application.mirroring import build_mirror
from archsearch.application.opening import open_study
from archsearch.application.pacing import BudgetPacing
from archsearch.application.preparing import check_installed, prepare_data
from archsearch.application.provenance import describe_provenance, explain_changes
from archsearch.application.replicating import find_undecided
from archsearch.application.reusing import Reuse, find_warm_start
from archsearch.application.room import find_room, list_largest
from archsearch.application.sampling import sample_specs
from archsearch.application.scoring import list_unscored, score_networks
from archsearch.application.stopping import Stopping
from archsearch.data import Dataset
from archsearch.errors import StudyError, Terminated
from archsearch.execution import Devices, Executor, build_executor, choose_devices
from archsearch.journal import Journal, Record, RunFolder, RunFolderLock, StudyHistory, TrialHistory
from archsearch.search.conductor import Conductor
from archsearch.search.jobs import Workplace
from archsearch.search.pausing import warn_of_schedule
from archsearch.search.ranking import find_best, rank, reported_trials
from archsearch.search.samplers import check_sampler
from archsearch.study import StudyConfig
from archsearch.study.settings import BudgetSettings, ExecutionSettings
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
    def counts(self) -> dict[str, int]:
        """Number of trials by outcome."""
        return dict(Counter(trial.outcome or "unfinished" for trial in self.history.trials.values()))

    def __repr__(self) -> str:
        return f"Outcome({self.study.name}: {self.reason}; {self._said_counts})"

    def _repr_html_(self) -> str:
        """The outcome as a notebook shows it."""
        header = ["trial", "network", "parameters", *self.study.objectives]
        rows = [
            [t.number, t.name, f"{t.parameters:,}", *(f"{v:.4g}" for v in t.objective_values or ())]
            for t in self.best
        ]
        below = [f"{self.reason}; {self._said_counts}", f"Run folder: {self.folder.path}"]
        return write_table(f"Best of {self.study.name}", header, rows, below=below)

    @property
    def _said_counts(self) -> str:
        return ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.counts.items()))

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
    began: float | None = None,
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
        began: When a person began to wait, by `time.monotonic`: from then on a budget of hours counts.

    Raises:
        StudyError: The study is not the one that was begun under its name, or not for this machine.
        DataError: Its data are missing or wrong.
        RunFolderError: The run folder is read-only, in use, or another study's.
        KeyboardInterrupt: It was stopped; the journal says so, and nothing is left running.
    """
    began = time.monotonic() if began is None else began
    stopping = stopping or Stopping()
    check_installed(study)
    dataset = prepare_data(study)
    check_sampler(study)
    folder = RunFolder.of(study.name, runs_folder)
    warm_start = find_warm_start(study, folder, runs_folder)
    with ExitStack() as stack:
        stack.enter_context(RunFolderLock(folder.path))
        journal = stack.enter_context(Journal.open(folder.journal))
        if journal.healed:
            say(journal.healed)
        devices = _find_devices(study.execution, _decided(journal))
        open_study(study, journal, folder, dataset)
        if warm_start is not None:
            fields, sentences = warm_start
            journal.append("warm_start", **fields)
            say("\n".join(sentences))
        mirror = mirror or build_mirror(study, runs_folder, say)
        provenance = describe_provenance(
            devices.kind, local=study.execution.executor != "ray", plugins=study.plugins
        )
        reuse = Reuse(study, folder, provenance)
        compute = _compute(study, journal, dataset, devices, say, mirror, reuse)
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
        if remark := warn_of_schedule(study):
            say(remark)
        conductor = Conductor(
            study,
            journal,
            workplace,
            listen=listen,
            undecided=find_undecided,
            winding_down=lambda: stopping.winding_down,
            taking_over=reuse.take_over(compute),
            pacing=BudgetPacing(study, len(dataset.train.labels))
            if study.budget != BudgetSettings()
            else None,
        )
        if mirror:
            # Where it was not started ahead, not before, for it imports MLflow, and would be in the way of
            # what is measured above.
            stack.enter_context(mirror)
        work_left = conductor.take_up()
        reason = conductor.history.finished or ""
        if work_left or not reason or list_unscored(study, conductor):
            reason = _train(
                study,
                conductor,
                stack,
                say,
                executor=executor if work_left else None,
                session=lambda: {
                    **_session(study, executor),
                    **provenance,
                    "preparing_s": round(time.monotonic() - began, 3),
                },
                stopping=stopping,
            )
        conductor.close()
        conclude(folder, conductor.history)
        mirrored = mirror.close() if mirror else None
        uri = hide_passwords(mirror.uri) if mirror else ""
        return Outcome(study, folder, conductor.history, reason, uri, mirrored)


def _train(
    study: StudyConfig,
    conductor: Conductor,
    stack: ExitStack,
    say: Callable[[str], None],
    *,
    executor: Executor | None,
    session: Callable[[], dict[str, Any]],
    stopping: Stopping,
) -> str:
    try:
        if executor:
            stack.enter_context(executor)
        # Only now: a cluster must be asked how many trials it takes at a time.
        here = session()
        if changed := explain_changes(conductor.history, here):
            say(changed)
        conductor.record("session", **here)
        with stopping.finishing():
            reason = conductor.run()
        if lent := taken_over(conductor.history):
            say(f"{lent} With execution: {{reuse: false}} all would be.")
        if stopping.winding_down:
            raise KeyboardInterrupt
        _test(conductor, study.objectives)
        score_networks(study, conductor)
    except KeyboardInterrupt as stop:
        by = "terminated by SIGTERM" if isinstance(stop, Terminated) else "stopped from the keyboard"
        conductor.record("interrupted", reason=by)
        raise
    conductor.record("finished", reason=reason)
    return reason


def _test(conductor: Conductor, objectives: Mapping[str, str]) -> None:
    """Read the test set, once, for the networks that the study reports."""
    from archsearch.training.evaluation import FinalEvaluator

    evaluator = FinalEvaluator()
    for trial in tested_trials(conductor.history, objectives):
        for seed in trial.seeds:
            replicate = trial.replicates.get(seed)
            # A budget may have ended before a seed that was added.
            if replicate is None or replicate.outcome != "complete":
                continue
            source = trial.number if replicate.repeated_of is None else replicate.repeated_of
            if not replicate.test:
                job = conductor.job(source, seed)
                if replicate.taken_over and not Path(job.weights_path or "").is_file():
                    # The budget ended before it was trained again for the weights, which were not kept there.
                    continue
                known = find_latency_ms(conductor.trials[trial.number])
                metrics = evaluator.evaluate(job, job.weights_path or "", latency_ms=known)
                conductor.record("test", trial=trial.number, seed=seed, metrics=metrics)


def tested_trials(history: StudyHistory, objectives: Mapping[str, str]) -> list[TrialHistory]:
    """The trials whose test error is reported: every cell's final one, of a mere search its best."""
    reported = reported_trials(history.trials.values())
    searched = [trial for trial in reported if trial.phase == "search"]
    if not searched:
        return reported
    best = find_best(searched, objectives)
    return [trial for trial in reported if trial in best or trial.phase == "include"]


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
    reuse: Reuse,
) -> Compute:
    if (decided := _decided(journal)) is not None:
        return decided
    specs, compute = sample_specs(study), reuse.find_arithmetic()
    if compute is None:
        if mirror:
            mirror.wait_until_ready()
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


def _session(study: StudyConfig, executor: Executor) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "executor": study.execution.executor,
        "slots": executor.slots,
        "devices_per_trial": study.execution.devices_per_trial,
        "clock": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
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
