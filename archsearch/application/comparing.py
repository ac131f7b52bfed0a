"""Studies and trials side by side: settings that differ, performance with its intervals, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archsearch.analysis import CellComparison, CellResults, CurveResults
from archsearch.analysis.comparisons import compare_with_first
from archsearch.analysis.curve_reading import read_cell
from archsearch.analysis.curve_tests import Measure, training_sample, validation_sample
from archsearch.analysis.depth_curve import find_latency_ms
from archsearch.application.studies import describe_trial, pick_trial
from archsearch.errors import RunFolderError
from archsearch.journal import RunFolder, StudyHistory, TrialHistory
from archsearch.search.ranking import rank, reported_trials
from archsearch.statistics.intervals import MeanInterval, mean_interval
from archsearch.statistics.samples import Sample
from archsearch.study.schema import SMALLEST_DIFFERENCE
from archsearch.study.summary import list_settings

_TESTED: tuple[Measure, Measure] = ("train_error", "val_error")
# What a study's file says of other things than its trials, whose own settings are compared one by one.
_OF_STUDIES = (
    "seed",
    "sweep",
    "search",
    "trials",
    "seeds",
    "smallest_difference",
    "objectives",
    "constraints",
    "sampler",
    "pruner",
    "match",
    "budget",
    "include",
)


@dataclass(frozen=True)
class Subject:
    """What is compared.

    Attributes:
        label: As it was given.
        study: Name of its study.
        trial: The trial; of a whole study the one that its answer would name.
        history: Of its study.
        is_study: Whether a whole study was given.
        settings: By dotted name, as text.
        errors: By measure, the mean over its seeds and the 95 % interval.
        costs: By name: parameters, macs, activation_mib, latency_ms, train_time_s, where they are known.
    """

    label: str
    study: str
    trial: TrialHistory
    history: StudyHistory
    is_study: bool
    settings: Mapping[str, str]
    errors: Mapping[str, MeanInterval]
    costs: Mapping[str, float]


@dataclass(frozen=True)
class SideBySide:
    """Several of them.

    Attributes:
        differing: By setting, the value of each; None where it has no such setting.
        tests: The others against the first, where there are seeds enough.
        notes: What makes the comparison doubtful.
    """

    subjects: tuple[Subject, ...]
    differing: Mapping[str, tuple[str | None, ...]]
    tests: tuple[CellComparison, ...]
    notes: tuple[str, ...]

    def to_mapping(self) -> dict[str, Any]:
        """The comparison as JSON's values."""
        return {
            "subjects": [
                {
                    "given": subject.label,
                    "study": subject.study,
                    **describe_trial(subject.trial, subject.history.header.get("objectives") or {}),
                    "errors": {name: asdict(found) for name, found in subject.errors.items()},
                    "costs": dict(subject.costs),
                }
                for subject in self.subjects
            ],
            "differing": {name: list(values) for name, values in self.differing.items()},
            "tests": [test.to_mapping() for test in self.tests],
            "notes": list(self.notes),
        }


def compare(given: Sequence[str], *, runs_folder: str | Path = "runs") -> SideBySide:
    """Put studies and trials side by side.

    Args:
        given: Each the name, run folder or YAML file of a study, or such a one, a colon and a trial's number.
        runs_folder: Folder of all run folders.

    Raises:
        RunFolderError: There is no such study, or none of its trials has ended.
        InputError: There is no such trial.
        JournalError: A journal is damaged.
    """
    subjects = tuple(_read_subject(label, runs_folder) for label in given)
    names = dict.fromkeys(name for subject in subjects for name in subject.settings)
    values = {name: tuple(subject.settings.get(name) for subject in subjects) for name in names}
    differing = {name: found for name, found in values.items() if len(set(found)) > 1}
    return SideBySide(subjects, differing, tuple(_test(subjects)), tuple(_find_notes(subjects)))


def _read_subject(label: str, runs_folder: str | Path) -> Subject:
    study, colon, number = label.rpartition(":")
    is_study = not (colon and number.isdecimal())
    folder = RunFolder.find(label if is_study else study, runs_folder)
    history = folder.history()
    trial = _find_best(history, label) if is_study else pick_trial(history, int(number), path=label)
    cell = read_cell(trial)
    tests = [r.test["test_error"] for r in trial.replicates.values() if "test_error" in r.test]
    errors = {"train_error": cell.train_errors, "val_error": cell.val_errors, "test_error": tests}
    return Subject(
        label=label,
        study=history.header.get("name") or folder.path.name,
        trial=trial,
        history=history,
        is_study=is_study,
        settings=_list_settings(history, trial, is_study=is_study),
        errors={name: mean_interval(values) for name, values in errors.items() if values},
        costs=_list_costs(trial),
    )


def _find_best(history: StudyHistory, label: str) -> TrialHistory:
    ranked = rank(reported_trials(history.trials.values()), history.header.get("objectives") or {})
    if not ranked:
        fix = f"Name a trial of it, as in {label}:0, or run it."
        raise RunFolderError("must have a finished trial", path="STUDY", got=label, fix=fix)
    return ranked[0]


def _list_settings(history: StudyHistory, trial: TrialHistory, *, is_study: bool) -> dict[str, str]:
    flat: dict[str, Any] = {
        **trial.architecture,
        **{f"training.{name}": value for name, value in trial.training.items()},
        **{f"data.{name}": value for name, value in trial.data.items()},
    }
    sessions = [r.session for r in trial.replicates.values() if r.session is not None]
    if sessions:
        flat |= {f"ran.{name}": value for name, value in history.sessions[sessions[-1]].provenance.items()}
    settings = {name: str(value) for name, value in flat.items() if value is not None}
    if is_study:
        said = list_settings(history.text)
        settings |= {f"study.{name}": said[name] for name in _OF_STUDIES if name in said}
    return settings


def _list_costs(trial: TrialHistory) -> dict[str, float]:
    known = {
        "parameters": trial.parameters,
        "macs": trial.macs,
        "activation_mib": trial.activation_mib,
        "latency_ms": find_latency_ms(trial),
        "train_time_s": trial.metrics.get("train_time_s"),
    }
    return {name: value for name, value in known.items() if value is not None}


def _test(subjects: Sequence[Subject]) -> list[CellComparison]:
    margin = subjects[0].history.question.get("smallest_difference", SMALLEST_DIFFERENCE)
    found: list[CellComparison] = []
    for measure in _TESTED:
        samples = [(subject.label, _sample(subject, measure)) for subject in subjects]
        if samples[0][1] is not None:
            enough = [(label, sample) for label, sample in samples if sample is not None]
            found += compare_with_first(enough, measure, margin)
    return found


def _sample(subject: Subject, measure: Measure) -> Sample | None:
    cell = read_cell(subject.trial)
    if cell.ended < 2:
        return None
    curve = _as_curve(subject, cell)
    return training_sample(curve, cell) if measure == "train_error" else validation_sample(curve, cell)


def _as_curve(subject: Subject, cell: CellResults) -> CurveResults:
    trial = subject.trial
    return CurveResults(
        label=subject.label,
        family=str(trial.architecture.get("block")),
        cells=(cell,),
        epochs=int(trial.training["epochs"]),
        classes=trial.classes,
        train_images=trial.train_images,
        val_images=trial.val_images,
    )


def _find_notes(subjects: Sequence[Subject]) -> list[str]:
    notes = []
    if len({subject.trial.data_fingerprint for subject in subjects}) > 1:
        notes.append("They were not trained and judged on the same images.")
    for subject in subjects:
        if not subject.errors:
            outcome = subject.trial.outcome or "not finished yet"
            notes.append(f"{subject.label} has no result: its outcome is {outcome}.")
        elif subject.trial.phase == "search":
            notes.append(f"{subject.label} was trained once, in a search, of which the best look too good.")
    few = [subject.label for subject in subjects if subject.errors and read_cell(subject.trial).ended < 2]
    if few:
        notes.append(f"No test with {', '.join(few)}, which has one seed alone.")
    return notes
