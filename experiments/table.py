"""The trainings on CIFAR-10 as a recorded table, which `benchmarks.search_quality` replays."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from archsearch.journal import RunFolder, StudyHistory, TrialHistory
from archsearch.study import StudyConfig, load_study
from archsearch.study.cells import Cell
from benchmarks.record_table import write_rows
from benchmarks.recorded_table import TABLES
from experiments.claims import CLAIMS

NAME = "cifar10"
SOURCES = ("04_depth", "05_shortcuts")


def write_recorded_table(runs_folder: Path) -> None:
    """Write the trainings of the claims that swept what the table's study sweeps.

    Raises:
        SystemExit: A point of the table was not trained.
    """
    table = load_study(TABLES / f"{NAME}.yaml")
    studies = [load_study(file).name for source in SOURCES for file in CLAIMS[source].files().values()]
    histories = [RunFolder.find(name, runs_folder).history() for name in studies]
    write_rows(table, join_histories(table, histories), TABLES / f"{NAME}.csv.gz")


def join_histories(table: StudyConfig, histories: Iterable[StudyHistory]) -> StudyHistory:
    """Make the history that the table's study would have, had it trained what the others have.

    Raises:
        SystemExit: None of them has trained some point of the table.
    """
    known = [trial for history in histories for trial in history.trials.values() if trial.phase == "sweep"]
    return StudyHistory(trials=dict(enumerate(_find_trial(table, cell, known) for cell in table.cells())))


def _find_trial(table: StudyConfig, cell: Cell, known: Iterable[TrialHistory]) -> TrialHistory:
    spec = table.resolve(cell.values)
    settings = [json.loads(one.model_dump_json()) for one in (spec.training, spec.data)]
    wanted = [spec.architecture.id, *settings]
    found = next((t for t in known if [t.architecture_id, t.training, t.data] == wanted), None)
    if found is None:
        raise SystemExit(f"{cell.label} was not trained yet: make {' and '.join(SOURCES)} first.")
    replicates = {seed: found.replicates[seed] for seed in table.seeds if seed in found.replicates}
    return replace(found, cell=cell.values, seeds=table.seeds, replicates=replicates)
