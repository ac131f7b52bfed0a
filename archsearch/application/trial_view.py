"""All about one trial of a study, from its journal alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archsearch.application.studies import describe_trial, pick_trial
from archsearch.journal import ReplicateHistory, RunFolder, StudyHistory, TrialHistory
from archsearch.study.summary import find_tracking_uri
from archsearch.tracking import hide_passwords, name_run, resolve_uri


@dataclass(frozen=True)
class TrialView:
    """A trial, and where what is left of it stands.

    Attributes:
        weights: By seed of what was trained to its end, the file of its weights; None where it was not kept.
        mlflow_uri: Of the store that holds its run, without passwords; empty where tracking is off.
        run_name: Of its run in the experiment of the study.
        provenance: What its replicates were trained with, by the number of the session, from 0: host,
            versions, commit, device.
    """

    study: str
    objectives: Mapping[str, str]
    trial: TrialHistory
    weights: Mapping[int, Path | None]
    mlflow_uri: str
    run_name: str
    provenance: Mapping[int, Mapping[str, str]]

    def to_mapping(self) -> dict[str, Any]:
        """The view as JSON's values."""
        trial = self.trial
        return {
            "study": self.study,
            **describe_trial(trial, self.objectives),
            "reason": trial.reason,
            "repeated_of": trial.repeated_of,
            "cell": dict(trial.cell),
            "sampled": dict(trial.values),
            "architecture": dict(trial.architecture),
            "architecture_id": trial.architecture_id,
            "training": dict(trial.training),
            "data": dict(trial.data),
            "data_fingerprint": trial.data_fingerprint,
            "requested_depth": trial.requested_depth,
            "created": trial.created,
            "told": trial.told,
            "seeds": list(trial.seeds),
            "replicates": [self._replicate(replicate) for replicate in trial.replicates.values()],
            "provenance": {str(number): dict(ran) for number, ran in self.provenance.items()},
            "mlflow": {"uri": self.mlflow_uri, "experiment": self.study, "run": self.run_name},
        }

    def _replicate(self, replicate: ReplicateHistory) -> dict[str, Any]:
        weights = self.weights.get(replicate.seed)
        kept = {name: value for name, value in asdict(replicate).items() if name != "profiles"}
        return {**kept, "weights": weights and str(weights)}


def show_trial(study: str, number: int, *, runs_folder: str | Path = "runs") -> TrialView:
    """Read a trial of a study that was run, or still runs.

    Args:
        study: Name, run folder or YAML file of the study.
        number: Of the trial.
        runs_folder: Folder of all run folders.

    Raises:
        InputError: There is no such study or trial.
        JournalError: The journal is damaged.
    """
    folder = RunFolder.find(study, runs_folder)
    history = folder.history()
    trial = pick_trial(history, number, path="--trial")
    name = history.header.get("name") or folder.path.name
    return TrialView(
        study=name,
        objectives=history.header.get("objectives") or {},
        trial=trial,
        weights={
            seed: _find_weights(folder, trial, replicate)
            for seed, replicate in trial.replicates.items()
            if replicate.outcome == "complete"
        },
        mlflow_uri=_find_mlflow(history),
        run_name=name_run(trial.name, trial.number),
        provenance=_find_provenance(history, trial),
    )


def _find_weights(folder: RunFolder, trial: TrialHistory, replicate: ReplicateHistory) -> Path | None:
    path = folder.weights_of(trial, replicate)
    return path if path.is_file() else None


def _find_mlflow(history: StudyHistory) -> str:
    uri = find_tracking_uri(history.text)
    return "" if uri is None else hide_passwords(resolve_uri(uri))


def _find_provenance(history: StudyHistory, trial: TrialHistory) -> dict[int, dict[str, str]]:
    sessions = {replicate.session for replicate in trial.replicates.values()}
    found = {}
    for number in sorted(session for session in sessions if session is not None):
        session = history.sessions[number]
        host = session.fields.get("host")
        found[number] = {**({"host": str(host)} if host else {}), **session.provenance}
    return found
