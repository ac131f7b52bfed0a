"""From records of the journal to the rows that should stand in MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from archsearch.journal import Record, Replay, TrialHistory
from archsearch.tracking.address import name_run
from archsearch.tracking.colours import run_colour
from archsearch.tracking.describing import describe_study, describe_trial, provenance_tags
from archsearch.tracking.rows import (
    DataVersion,
    Row,
    RunKey,
    Status,
    cell_label,
    deviations,
    flatten_params,
    mean_metrics,
    safe_name,
    to_ms,
)
from archsearch.tracking.views import experiment_tags

STUDY = RunKey("study")

_TRIAL_ENDS: dict[str, Status] = {
    "complete": "FINISHED",
    "repeated": "FINISHED",
    "pruned": "KILLED",
    "infeasible": "KILLED",
}
_REPLICATE_ENDS: dict[str, Status] = {"complete": "FINISHED", "stopped": "KILLED"}
_NOTE_TAG = "mlflow.note.content"


class Rows:
    """The rows of one study, and which of them changed.

    A trial with one seed carries its replicate's values itself. One with several carries the means, and its
    replicates have runs of their own. MLflow cannot take a point back: of an epoch that was trained
    twice, after a crash, the first report stands; the values at the end are those of the last attempt.

    Attributes:
        header: Fields of the ``study`` record; empty before there is one.
        changed: Rows with something new to write; parents come before their children.
    """

    def __init__(self) -> None:
        self.header: Mapping[str, Any] = {}
        self.changed: dict[RunKey, Row] = {}
        self._rows: dict[RunKey, Row] = {}
        self._replay = Replay()
        self._time_s = 0.0
        self._seen: dict[tuple[int, int], int] = {}
        self._averaged: dict[int, int] = {}
        self._steps: dict[str, Callable[[Record], None]] = {
            "study": self._begin_study,
            "session": self._begin_session,
            "trial": self._describe_trial,
            "started": self._start_replicate,
            "epoch": self._add_epoch,
            "replicate": self._end_replicate,
            "told": self._tell,
            "test": self._add_test,
            "finished": self._finish,
            "interrupted": self._interrupt,
        }

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, record: Record) -> None:
        """Take one more record into account."""
        self._replay.add(record)
        self._time_s = record.time
        step = self._steps.get(record.kind)
        if step is not None:
            step(record)

    def experiment_tags(self) -> dict[str, str]:
        """Return the tags that the study's experiment should carry."""
        identity = self.header.get("identity", {})
        varied = [
            path.removeprefix("architecture.")
            for part in ("sweep", "search")
            for path in identity.get(part, ())
        ]
        trials = (row.params for row in self._rows.values() if row.key.kind == "trial")
        objectives = {safe_name(name): aim for name, aim in self.header.get("objectives", {}).items()}
        return experiment_tags(self._rows[STUDY].start_ms, varied, trials, objectives=objectives)

    def settle(self) -> None:
        """Close the runs that are open although nobody works on the study any more."""
        for row in list(self._rows.values()):
            if row.status == "RUNNING":
                row.end("KILLED", self._time_s)
                self.changed[row.key] = row

    def _touch(self, key: RunKey, record: Record) -> Row:
        row = self._rows[key]
        row.line = record.number
        self.changed[key] = row
        return row

    def _create(self, row: Row, tags: Mapping[str, Any]) -> Row:
        row.set_tags(
            {
                "archsearch.kind": row.key.kind,
                "archsearch.study": self.header["name"],
                "archsearch.study_uid": self.header["uid"],
                "archsearch.trial": row.key.trial,
                **tags,
            }
        )
        self._rows[row.key] = self.changed[row.key] = row
        return row

    def _begin_study(self, record: Record) -> None:
        self.header = record.fields
        row = Row(STUDY, None, self.header["name"], to_ms(record.time), record.number)
        tags = {"archsearch.version": self.header.get("archsearch")}
        self._create(row, {**tags, "archsearch.data_fingerprint": self.header.get("data_fingerprint")})

    def _begin_session(self, record: Record) -> None:
        row = self._touch(STUDY, record)
        row.status = "RUNNING"
        self._describe_study("Not finished yet")

    def _describe_study(self, state: str) -> None:
        text = describe_study(self.header, list(self._replay.trials.values()), state)
        self._rows[STUDY].set_tags({_NOTE_TAG: text})

    def _describe_trial(self, record: Record) -> None:
        trial = self._replay.trials[record.fields["trial"]]
        key = RunKey("trial", trial.number)
        if key not in self._rows:
            row = Row(key, STUDY, name_run(trial.name, trial.number), to_ms(record.time), record.number)
            self._create(row, _trial_tags(trial))
            self._describe_network(row, trial)
            study = self._rows[STUDY]
            if new := [version for version in row.data if version not in study.data]:
                self._touch(STUDY, record).data.extend(new)
            row.set_tags({_NOTE_TAG: describe_trial(self.header, trial)})
        several = len(trial.seeds) > 1
        for seed, replicate in trial.replicates.items() if several else ():
            # Seeds were added to a trial that had one: its replicate gets the run that it did without.
            if RunKey("replicate", trial.number, seed) not in self._rows:
                row = self._create_replicate(trial, seed, record)
                for epoch, metrics in enumerate(replicate.epochs):
                    row.add_points(metrics, replicate.epoch_times[epoch], epoch)
                if replicate.outcome and replicate.finished:
                    self._close_replicate(row, trial, seed, replicate.finished)
                # The means are to be over more seeds now.
                self._averaged[trial.number] = 0

    def _start_replicate(self, record: Record) -> None:
        trial, seed = self._replay.trials[record.fields["trial"]], record.fields["seed"]
        row = self._touch(RunKey("trial", trial.number), record)
        row.reopen()
        row.set_tags({_NOTE_TAG: describe_trial(self.header, replace(trial, outcome=None))})
        row.set_tags(provenance_tags(trial.replicates.values(), self._replay.sessions))
        if len(trial.seeds) > 1:
            key = RunKey("replicate", trial.number, seed)
            if key not in self._rows:
                self._create_replicate(trial, seed, record)
            row = self._touch(key, record)
            row.reopen()
            row.set_tags(provenance_tags([trial.replicates[seed]], self._replay.sessions))

    def _add_epoch(self, record: Record) -> None:
        trial, seed = self._replay.trials[record.fields["trial"]], record.fields["seed"]
        epoch, metrics = record.fields["epoch"], record.fields["metrics"]
        several = len(trial.seeds) > 1
        if several and RunKey("replicate", trial.number, seed) not in self._rows:
            # It was not started, for its result is taken over from another study.
            self._create_replicate(trial, seed, record)
        if epoch >= self._seen.get((trial.number, seed), 0):
            self._seen[trial.number, seed] = epoch + 1
            key = RunKey("replicate", trial.number, seed) if several else RunKey("trial", trial.number)
            self._touch(key, record).add_points(metrics, record.time, epoch)
        if several:
            self._average_epochs(trial, record, reached_by_all=True)

    def _end_replicate(self, record: Record) -> None:
        trial, seed = self._replay.trials[record.fields["trial"]], record.fields["seed"]
        key = RunKey("replicate", trial.number, seed)
        if key in self._rows:
            self._close_replicate(self._touch(key, record), trial, seed, record.time)

    def _tell(self, record: Record) -> None:
        trial = self._replay.trials[record.fields["trial"]]
        row = self._touch(RunKey("trial", trial.number), record)
        if len(trial.seeds) > 1:
            self._average_epochs(trial, record, reached_by_all=False)
        complete = [item for item in trial.replicates.values() if item.outcome == "complete"]
        last_step = max((len(item.epochs) for item in trial.replicates.values()), default=1) - 1
        metrics = {**deviations(item.metrics for item in complete), **trial.metrics}
        row.add_end_points(metrics, record.time, max(0, last_step))
        outcome, reason = trial.outcome or "", trial.reason.partition("\n")[0]
        row.set_tags(
            {
                "archsearch.outcome": f"failed: {reason}" if outcome == "failed" and reason else outcome,
                "archsearch.reason": trial.reason,
                "archsearch.repeated_of": trial.repeated_of,
                "archsearch.taken_over_from": ", ".join(trial.lenders),
                **provenance_tags(trial.replicates.values(), self._replay.sessions),
            }
        )
        row.set_tags({_NOTE_TAG: describe_trial(self.header, trial)})
        row.end(_TRIAL_ENDS.get(outcome, "FAILED"), record.time)

    def _add_test(self, record: Record) -> None:
        trial, seed = self._replay.trials[record.fields["trial"]], record.fields["seed"]
        replicates = trial.replicates
        step = max(0, len(replicates[seed].epochs) - 1)
        key = RunKey("replicate", trial.number, seed)
        if key in self._rows:
            self._touch(key, record).add_points(record.fields["metrics"], record.time, step)
        complete = [item.test for item in replicates.values() if item.outcome == "complete"]
        if complete and all(complete):
            row = self._touch(RunKey("trial", trial.number), record)
            row.add_points({**mean_metrics(complete), **deviations(complete)}, record.time, step)

    def _finish(self, record: Record) -> None:
        self._touch(STUDY, record).end("FINISHED", record.time)
        self._describe_study(f"Finished: {record.fields.get('reason', '')}")
        self._close_open(record)

    def _interrupt(self, record: Record) -> None:
        self._touch(STUDY, record)
        self._describe_study(f"Interrupted ({record.fields.get('reason', '')}); `archsearch run` goes on")
        self._close_open(record)

    def _close_open(self, record: Record) -> None:
        for row in list(self._rows.values()):
            if row.status == "RUNNING":
                self._touch(row.key, record).end("KILLED", record.time)

    def _create_replicate(self, trial: TrialHistory, seed: int, record: Record) -> Row:
        started = trial.replicates[seed].started or record.time
        key, parent = RunKey("replicate", trial.number, seed), RunKey("trial", trial.number)
        row = Row(key, parent, name_run(trial.name, trial.number, seed), to_ms(started), record.number)
        ran = provenance_tags([trial.replicates[seed]], self._replay.sessions)
        self._create(row, {**_trial_tags(trial), "archsearch.seed": seed, **ran})
        self._describe_network(row, trial)
        return row

    def _describe_network(self, row: Row, trial: TrialHistory) -> None:
        row.params = flatten_params(trial.architecture, trial.training, trial.data)
        if trial.requested_depth is not None:
            row.params["requested_depth"] = str(trial.requested_depth)
        if trial.data_fingerprint:
            row.data = [DataVersion.of(trial.data, trial.data_fingerprint)]
        depth = trial.architecture.get("depth")
        row.set_tags({"mlflow.runColor": run_colour(str(trial.architecture.get("block")), int(depth or 0))})
        counted = {"depth": depth, "parameters": trial.parameters, "macs": trial.macs}
        row.add_points(counted, row.start_ms / 1000, 0)

    def _close_replicate(self, row: Row, trial: TrialHistory, seed: int, time_s: float) -> None:
        replicate = trial.replicates[seed]
        row.add_end_points(replicate.metrics, time_s, max(0, len(replicate.epochs) - 1))
        outcome, reason = replicate.outcome or "", replicate.reason.partition("\n")[0]
        row.set_tags(
            {
                "archsearch.outcome": f"failed: {reason}" if outcome == "failed" and reason else outcome,
                "archsearch.reason": replicate.reason,
                "archsearch.taken_over_from": (replicate.taken_over or {}).get("study"),
            }
        )
        row.end(_REPLICATE_ENDS.get(outcome, "FAILED"), time_s)

    def _average_epochs(self, trial: TrialHistory, record: Record, *, reached_by_all: bool) -> None:
        """Add the means of further epochs, up to the last that all seeds have reached, or that any has."""
        curves = [trial.replicates[seed].epochs for seed in trial.seeds if seed in trial.replicates]
        lengths = [len(curve) for curve in curves] or [0]
        complete = len(curves) == len(trial.seeds)
        end = (min(lengths) if complete else 0) if reached_by_all else max(lengths)
        for epoch in range(self._averaged.get(trial.number, 0), end):
            row = self._touch(RunKey("trial", trial.number), record)
            means = mean_metrics(curve[epoch] for curve in curves if epoch < len(curve))
            row.add_points(means, record.time, epoch)
            self._averaged[trial.number] = epoch + 1


def _trial_tags(trial: TrialHistory) -> dict[str, Any]:
    return {
        "archsearch.cell": cell_label(trial.cell),
        "archsearch.phase": trial.phase,
        "archsearch.architecture_id": trial.architecture_id,
        "archsearch.data_fingerprint": trial.data_fingerprint,
        "archsearch.seed": trial.seeds[0] if len(trial.seeds) == 1 else None,
    }
