"""Frames hold all that a history holds, a row an observation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from archsearch.analysis.frames import Frames, load_frames
from archsearch.errors import RunFolderError
from archsearch.journal import Journal, ReplicateHistory, StudyHistory
from tests.analysis.trials import cell, trial

ERRORS = {
    0: {"train_error": 0.1, "val_error": 0.2, "test_error": 0.25},
    1: {"train_error": 0.3, "val_error": 0.6},
}


@pytest.fixture
def frames() -> Frames:
    deep = trial(1, 20, ERRORS, cell=cell("plain", 20))
    watched = ReplicateHistory(
        7,
        epochs=({"val_error": 0.9}, {"val_error": 0.8}),
        profiles={0: {"gradient_norm": (1.0, 2.0, 4.0)}},
    )
    under_way = replace(
        trial(2, 8, {}, block="residual", cell=cell("residual", 8)),
        outcome=None,
        seeds=(7, 8),
        replicates={7: watched},
        mismatch=0.01,
    )
    shallow = replace(trial(0, 8, ERRORS, cell=cell("plain", 8)), metrics={"val_error": 0.4, "depth": 8.0})
    return Frames(StudyHistory(trials={t.number: t for t in (shallow, deep, under_way)}))


def test_a_row_a_trial(frames: Frames) -> None:
    table = frames.trials.set_index("trial")

    assert list(table["depth"]) == [8, 20, 8]
    assert list(table["block"]) == ["plain", "plain", "residual"]
    assert list(table["seeds"]) == [2, 2, 2]
    assert table.loc[0, "val_error"] == 0.4
    assert table.loc[1, "training.epochs"] == 10
    assert table.loc[2, "mismatch"] == 0.01
    assert pd.isna(table.loc[2, "outcome"])
    assert table.columns.is_unique


def test_a_row_a_training(frames: Frames) -> None:
    table = frames.replicates.set_index(["trial", "seed"])

    assert list(table.index) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 7)]
    assert table.loc[(1, 1), "val_error"] == 0.6
    assert table.loc[(0, 0), "test_error"] == 0.25
    assert table.loc[(2, 7), "epochs"] == 2
    assert table.groupby("cell")["train_error"].mean()["block=plain depth=8"] == pytest.approx(0.2)


def test_a_row_an_epoch_and_a_row_a_place(frames: Frames) -> None:
    epochs, profiles = frames.epochs, frames.profiles

    assert list(epochs[["trial", "seed", "epoch", "val_error"]].itertuples(index=False, name=None)) == [
        (2, 7, 0, 0.9),
        (2, 7, 1, 0.8),
    ]
    assert list(profiles["place"]) == [0.0, 0.5, 1.0]
    assert list(profiles["value"]) == [1.0, 2.0, 4.0]
    assert set(profiles["signal"]) == {"gradient_norm"}


def test_a_row_a_curve_and_a_row_a_comparison(frames: Frames) -> None:
    assert list(frames.verdicts["curve"]) == ["block=plain", "block=residual"]
    assert set(frames.comparisons["question"]) <= {"same depth", "deeper", "slopes"}
    assert {"p", "p_adjusted", "difference", "low", "high"} <= set(frames.comparisons.columns)
    assert len(frames.comparisons) > 0


def test_of_a_study_that_has_just_begun_they_are_empty() -> None:
    empty = Frames(StudyHistory())

    assert all(len(table) == 0 for table in (empty.trials, empty.replicates, empty.epochs, empty.profiles))
    assert len(empty.verdicts) == len(empty.comparisons) == 0


def test_a_row_a_network_of_the_curves_with_its_intervals(frames: Frames) -> None:
    table = frames.cells.set_index("trial")

    assert list(table.index) == [0, 1]
    assert list(table["curve"]) == ["block=plain"] * 2
    assert table.loc[0, "train_error"] == pytest.approx(0.2)
    # t with one degree of freedom: 12.706 standard errors of 0.1
    assert table.loc[0, "train_error_high"] == pytest.approx(0.2 + 12.706 * 0.1, rel=1e-4)
    # as good as the deeper one
    assert list(table["recommended"]) == [True, False]
    assert list(table["on_front"]) == [True, False]
    assert list(table["failed"]) == [0, 0]


def test_they_are_read_from_a_run_folder(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "runs" / "depth" / "journal.log") as journal:
        journal.append("study", uid="0", name="depth")

    assert load_frames("depth", tmp_path / "runs").history.header["name"] == "depth"
    with pytest.raises(RunFolderError):
        load_frames("other", tmp_path / "runs")
