"""Which trials are exported, from journals written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from archsearch.application.choosing import Choice, choose_trials
from archsearch.errors import InputError, RunFolderError
from archsearch.journal import ReplicateHistory, StudyHistory, TrialHistory

# number: depth, validation error, macs, latency
TRIALS = {
    0: (8, 0.30, 100, 1.0),
    1: (8, 0.20, 300, 2.0),
    2: (14, 0.20, 400, 1.5),
    3: (14, 0.10, 900, 3.0),
    4: (20, 0.15, 1200, 4.0),
}


def trial_of(number: int, depth: int, error: float, macs: int, latency_ms: float) -> TrialHistory:
    metrics = {"val_error": error, "val_accuracy": 1 - error, "test_error": error, "depth": float(depth)}
    replicate = ReplicateHistory(
        0, outcome="complete", metrics={**metrics, "latency_ms": latency_ms, "train_error": error}
    )
    return TrialHistory(
        number=number,
        created=0.0,
        name=f"residual-{depth}",
        phase="sweep",
        cell={"depth": depth},
        values={},
        architecture={"block": "residual", "depth": depth},
        architecture_id=f"v1:{number}",
        training={},
        data={"name": "digits"},
        requested_depth=None,
        dropped=(),
        parameters=macs,
        macs=macs,
        activation_mib=1.0,
        seeds=(0,),
        optuna=None,
        outcome="complete",
        objective_values=(error, macs),
        metrics=metrics,
        replicates={0: replicate},
    )


def history(objectives: dict[str, str] | None = None) -> StudyHistory:
    asked = objectives or {"val_error": "minimize"}
    trials: dict[int, Any] = {}
    for number, row in TRIALS.items():
        trial = trial_of(number, *row)
        values = (trial.objective_values or ())[: len(asked)]
        trials[number] = TrialHistory(**{**vars(trial), "objective_values": values})
    return StudyHistory(header={"name": "swept", "objectives": asked}, trials=trials)


def chosen(choice: Choice, objectives: dict[str, str] | None = None) -> list[int]:
    return [trial.number for trial in choose_trials(history(objectives), choice)]


def test_the_best_by_the_objectives_is_taken_where_nothing_is_chosen() -> None:
    assert chosen(Choice()) == [3]


@pytest.mark.parametrize(
    ("measure", "number"),
    [("macs", 0), ("val_accuracy", 3), ("val_error", 3), ("latency_ms", 0), ("depth", 4)],
)
def test_a_measure_knows_which_way_is_better(measure: str, number: int) -> None:
    assert chosen(Choice(best=measure)) == [number]


def test_the_best_of_a_depth_is_taken() -> None:
    assert [chosen(Choice(depth=depth)) for depth in (8, 14, 20)] == [[1], [3], [4]]
    with pytest.raises(InputError, match=r"--depth: must be a depth .*got 10\. There are 8, 14, 20"):
        chosen(Choice(depth=10))


def test_the_front_of_several_objectives_is_that_of_the_study() -> None:
    # 2 is as wrong as 1 and costs more, 4 is worse than 3 in both
    assert sorted(chosen(Choice(pareto=True), {"val_error": "minimize", "macs": "minimize"})) == [0, 1, 3]


def test_the_front_of_one_objective_counts_costs_too() -> None:
    # 2 is slower than none that is as good as it
    assert sorted(chosen(Choice(pareto=True))) == [0, 1, 2, 3]


def test_nothing_is_chosen_on_the_test_set() -> None:
    with pytest.raises(InputError, match=r"--best: must be no measure of the test set.*Take val_error"):
        chosen(Choice(best="test_error"))


def test_an_unknown_measure_names_the_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"--best: must be a measure of the study, got speed\. It has .*macs"
    ):
        chosen(Choice(best="speed"))


def test_a_study_without_a_finished_trial_says_so() -> None:
    with pytest.raises(RunFolderError, match="must have a finished trial"):
        choose_trials(StudyHistory(header={"name": "new", "objectives": {}}), Choice())
