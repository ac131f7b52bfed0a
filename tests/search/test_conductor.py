from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest

from archsearch.journal import read_journal
from archsearch.search.conductor import Conductor
from archsearch.training import Job
from tests.search.conftest import Laboratory, TableExecutor, hashed_curve

SEARCH = """
name: searched
data: digits
architecture: {layout: cifar, width: 8}
search:
  depth: [8, 14, 20]
  block: [plain, residual]
  shortcut: {choice: [pad, projection], when: {block: residual}}
  training.learning_rate: {low: 0.01, high: 0.5, log: true}
trials: 12
objectives: {val_accuracy: maximize}
training: {epochs: 4}
"""

SWEEP = """
name: swept
data: digits
architecture: {layout: cifar, width: 8}
sweep: {block: [plain, residual], depth: [8, 14]}
seeds: 2
objectives: {val_accuracy: maximize}
training: {epochs: 2}
"""


def told(conductor: Conductor) -> list[tuple[object, ...]]:
    return [
        (t.number, t.phase, dict(t.cell), dict(t.values), t.outcome, t.objective_values, t.repeated_of)
        for t in conductor.trials.values()
    ]


def better_when_deep(job: Job) -> list[float]:
    return [job.architecture.depth / 100 + job.training.learning_rate / 100] * job.training.epochs


def with_sampler(name: str) -> str:
    if name == "grid":
        rate = "training.learning_rate: {low: 0.01, high: 0.5, log: true}"
        return SEARCH.replace(rate, "training.learning_rate: [0.05, 0.1]") + "sampler: grid\n"
    if name == "nsga2":
        return SEARCH.replace("trials: 12", "trials: 14") + "sampler: {name: nsga2, population_size: 4}\n"
    if name in ("tpe", "gp"):
        return SEARCH + f"sampler: {{name: {name}, n_startup_trials: 4}}\n"
    return SEARCH + f"sampler: {name}\n"


@pytest.mark.parametrize(
    "sampler", ["tpe", "random", "grid", "qmc", "nsga2", pytest.param("gp", marks=pytest.mark.slow)]
)
def test_an_interrupted_study_proposes_what_the_uninterrupted_one_would_have(
    sampler: str, laboratory: Laboratory, tmp_path: Path
) -> None:
    text = with_sampler(sampler) + "pruner: {name: median, n_startup_trials: 2}\n"
    whole = told(laboratory.run(text))
    records = len(read_journal(laboratory.folder.journal))
    outcomes = {row[4] for row in whole}
    assert "complete" in outcomes
    for kept in (records // 4, records // 2, records - 6):
        other = Laboratory(tmp_path / f"cut-{kept}")
        other.run(text)
        other.keep(kept)
        assert told(other.run(text)) == whole, f"cut after {kept} of {records} records"


def test_a_search_makes_as_many_trials_as_asked_with_every_number_once(laboratory: Laboratory) -> None:
    conductor = laboratory.run(SEARCH, TableExecutor(slots=3))
    assert list(conductor.trials) == list(range(12))
    assert all(trial.outcome in ("complete", "repeated") for trial in conductor.trials.values())


def test_a_finished_study_trains_nothing_more(laboratory: Laboratory) -> None:
    laboratory.run(SEARCH)
    executor = TableExecutor()
    before = laboratory.folder.journal.read_bytes()
    laboratory.run(SEARCH, executor)
    assert executor.trained == []
    assert laboratory.folder.journal.read_bytes() == before


def test_more_trials_go_on_from_those_that_are_there(laboratory: Laboratory) -> None:
    first = told(laboratory.run(SEARCH))
    grown = told(laboratory.run(SEARCH.replace("trials: 12", "trials: 15")))
    assert grown[:12] == first
    assert len(grown) == 15


def test_the_same_training_is_done_once(laboratory: Laboratory) -> None:
    text = SEARCH.replace("training.learning_rate: {low: 0.01, high: 0.5, log: true}", "activation: [relu]")
    executor = TableExecutor(slots=4)
    conductor = laboratory.run(text, executor)
    # Two blocks at three depths, residual under two shortcuts: nine different networks at most.
    ids = {trial.architecture_id for trial in conductor.trials.values()}
    assert len(executor.trained) == len(ids) < 12
    for trial in conductor.trials.values():
        if trial.outcome == "repeated":
            original = conductor.trials[trial.repeated_of]
            assert original.architecture_id == trial.architecture_id
            assert trial.objective_values == original.objective_values


def test_a_grid_ends_when_it_is_exhausted(laboratory: Laboratory) -> None:
    text = with_sampler("grid").replace("trials: 12", "trials: 100")
    conductor = laboratory.run(text, TableExecutor(slots=2))
    combinations = {tuple(sorted(trial.values.items())) for trial in conductor.trials.values()}
    # (plain + residual under two shortcuts) x three depths x two learning rates.
    assert len(conductor.trials) == len(combinations) == 18


@pytest.mark.parametrize(
    ("budget", "order"),
    [
        ("", [(20, 8), (14, 8), (8, 8), (20, 4), (14, 4), (8, 4)]),
        ("budget: {epochs: 1000}\n", [(8, 4), (8, 8), (14, 4), (14, 8), (20, 4), (20, 8)]),
    ],
)
def test_what_takes_longest_comes_first_unless_a_budget_may_end_it(
    laboratory: Laboratory, budget: str, order: list[tuple[int, int]]
) -> None:
    text = f"""
name: table
data: digits
sweep: {{depth: [8, 14, 20], width: [4, 8]}}
training: {{epochs: 2}}
tracking: {{enabled: false}}
{budget}"""
    trials = laboratory.run(text, TableExecutor(slots=1)).trials.values()
    found = [(trial.architecture["depth"], trial.architecture["width"]) for trial in trials]
    assert found == order


def test_a_sweep_trains_each_cell_under_every_seed(laboratory: Laboratory) -> None:
    executor = TableExecutor(slots=2)
    conductor = laboratory.run(SWEEP, executor)
    assert sorted(executor.trained) == [(trial, seed) for trial in range(4) for seed in (0, 1)]
    first = conductor.trials[0]
    accuracies = [first.replicates[seed].metrics["val_accuracy"] for seed in (0, 1)]
    assert first.metrics["val_accuracy"] == pytest.approx(sum(accuracies) / 2)
    deviation = abs(accuracies[0] - accuracies[1]) / math.sqrt(2)
    assert first.metrics["val_accuracy_std"] == pytest.approx(deviation)
    assert first.metrics["depth"] == 14  # the longest first


def test_more_seeds_train_only_the_new_ones(laboratory: Laboratory) -> None:
    laboratory.run(SWEEP)
    executor = TableExecutor()
    conductor = laboratory.run(SWEEP.replace("seeds: 2", "seeds: 3"), executor)
    assert sorted(executor.trained) == [(trial, 2) for trial in range(4)]
    assert all(len(trial.replicates) == 3 for trial in conductor.trials.values())
    assert conductor.trials[0].metrics["val_accuracy"] == pytest.approx(
        sum(r.metrics["val_accuracy"] for r in conductor.trials[0].replicates.values()) / 3
    )


def test_more_swept_values_make_only_the_new_cells(laboratory: Laboratory) -> None:
    laboratory.run(SWEEP)
    executor = TableExecutor()
    conductor = laboratory.run(SWEEP.replace("[8, 14]", "[8, 14, 20]"), executor)
    assert len(conductor.trials) == 6
    assert {conductor.trials[trial].cell["architecture.depth"] for trial, _ in executor.trained} == {20}


def test_the_best_of_each_cell_is_confirmed_under_fresh_seeds(laboratory: Laboratory) -> None:
    text = SEARCH.replace("  depth: [8, 14, 20]\n", "") + "sweep: {depth: [8, 14]}\nseeds: 3\n"
    conductor = laboratory.run(text.replace("trials: 12", "trials: 5"), TableExecutor(slots=2))
    for depth in (8, 14):
        own = [t for t in conductor.trials.values() if t.cell["architecture.depth"] == depth]
        searched = [t for t in own if t.phase == "search" and t.outcome == "complete"]
        (confirmed,) = [t for t in own if t.phase == "confirm"]
        best = max(searched, key=lambda trial: trial.objective_values)
        assert dict(confirmed.values) == dict(best.values)
        assert confirmed.seeds == (1, 2, 3)
        assert {trial.seeds for trial in searched} == {(0,)}


def test_baselines_are_trained_first(laboratory: Laboratory) -> None:
    conductor = laboratory.run(SWEEP + "include: [resnet20, plain20]\n")
    assert [trial.name for trial in list(conductor.trials.values())[:2]] == ["resnet20", "plain20"]
    assert {trial.phase for trial in list(conductor.trials.values())[2:]} == {"sweep"}


def test_infeasible_proposals_cost_nothing_and_do_not_count(laboratory: Laboratory) -> None:
    executor = TableExecutor()
    conductor = laboratory.run(SEARCH + "constraints: {parameters: {max: 50_000}}\n", executor)
    infeasible = [t for t in conductor.trials.values() if t.outcome == "infeasible"]
    assert infeasible
    assert all(trial.parameters > 50_000 for trial in infeasible)
    assert "parameters" in infeasible[0].reason
    assert len(conductor.trials) - len(infeasible) == 12
    trained = {trial for trial, _ in executor.trained}
    assert not trained & {trial.number for trial in infeasible}


def test_a_cell_without_feasible_networks_is_given_up(laboratory: Laboratory) -> None:
    text = SEARCH.replace("trials: 12", "trials: 2") + "constraints: {parameters: {max: 10}}\n"
    conductor = laboratory.run(text)
    assert len(conductor.trials) == 40
    assert {trial.outcome for trial in conductor.trials.values()} == {"infeasible"}


def test_a_lost_worker_costs_a_repetition_and_nothing_else(laboratory: Laboratory) -> None:
    undisturbed = told(laboratory.run(SWEEP))
    executor = TableExecutor(slots=2)
    executor.losses = 2
    other = Laboratory(laboratory.folder.path.parent / "other")
    assert told(other.run(SWEEP, executor)) == undisturbed
    assert len(executor.trained) == 8 + 2


def test_a_replicate_that_loses_every_worker_fails_with_the_reason(laboratory: Laboratory) -> None:
    executor = TableExecutor()
    executor.losses = 3
    conductor = laboratory.run(SWEEP + "execution: {retries: 2}\n", executor)
    assert conductor.trials[0].outcome == "failed"
    assert "killed by signal 9" in conductor.trials[0].reason
    assert conductor.trials[1].outcome == "complete"


def test_a_training_that_diverges_is_an_outcome_with_its_reason(laboratory: Laboratory) -> None:
    def diverging(job: Job) -> list[float]:
        return [0.1, math.nan] if job.architecture.depth == 14 and job.seed == 1 else hashed_curve(job)

    conductor = laboratory.run(SWEEP, TableExecutor(curve=diverging))
    failed = [t for t in conductor.trials.values() if t.outcome == "failed"]
    assert [t.architecture["depth"] for t in failed] == [14, 14]
    assert failed[0].reason == "seed 1: not a number in epoch 2"
    assert failed[0].objective_values is None


def test_a_pruned_trial_ends_early_with_the_outcome_pruned(laboratory: Laboratory) -> None:
    text = SEARCH + "pruner: {name: median, n_startup_trials: 2}\n"
    conductor = laboratory.run(text)
    pruned = [t for t in conductor.trials.values() if t.outcome == "pruned"]
    assert pruned
    for trial in pruned:
        assert len(trial.replicates[0].epochs) < 4
        assert trial.objective_values is None


def test_confirmations_are_never_pruned(laboratory: Laboratory) -> None:
    text = SEARCH + "seeds: 4\npruner: {name: percentile, percentile: 1.0, n_startup_trials: 1}\n"
    conductor = laboratory.run(text)
    confirmed = [t for t in conductor.trials.values() if t.phase == "confirm"]
    assert [trial.outcome for trial in confirmed] == ["complete"]


@pytest.mark.parametrize(("budget", "epochs"), [("{epochs: 10}", 12), ("{macs: 1}", 4)])
def test_no_trial_starts_once_the_budget_is_spent(budget: str, epochs: int, laboratory: Laboratory) -> None:
    conductor = laboratory.run(SEARCH + f"budget: {budget}\n")
    spent = sum(len(r.epochs) for t in conductor.trials.values() for r in t.replicates.values())
    assert spent == epochs
    assert "budget" in (conductor.history.finished or "")


def test_several_objectives_confirm_the_whole_front(laboratory: Laboratory) -> None:
    objectives = "{val_accuracy: maximize, parameters: minimize}"
    text = SEARCH.replace("{val_accuracy: maximize}", objectives).replace("trials: 12", "trials: 30")
    conductor = laboratory.run(text + "seeds: 1\n", TableExecutor(curve=better_when_deep))
    searched = [t for t in conductor.trials.values() if t.phase == "search" and t.outcome == "complete"]
    front = {
        t.number
        for t in searched
        if not any(
            o.objective_values[0] >= t.objective_values[0]
            and o.objective_values[1] <= t.objective_values[1]
            and o.objective_values != t.objective_values
            for o in searched
        )
    }
    confirmed = [dict(t.values) for t in conductor.trials.values() if t.phase == "confirm"]
    assert len(confirmed) == len(front) > 1
    assert all(dict(conductor.trials[number].values) in confirmed for number in front)


@pytest.mark.slow
def test_match_solves_the_width_of_every_network(laboratory: Laboratory) -> None:
    text = SWEEP.replace("architecture: {layout: cifar, width: 8}\n", "match: {parameters: {of: resnet20}}\n")
    conductor = laboratory.run(text.replace("[8, 14]", "[14, 32]"))
    # resnet20 with one input channel: 269,722 less the two missing colours of the stem.
    budget = 269_722 - 2 * 9 * 16
    for trial in conductor.trials.values():
        assert trial.parameters == pytest.approx(budget, rel=0.03)
        assert trial.mismatch == pytest.approx(trial.parameters / budget - 1, abs=1e-12)
    assert any(trial.mismatch for trial in conductor.trials.values())


def test_finished_trials_are_copied_to_an_optuna_storage_once(laboratory: Laboratory, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    text = SEARCH + f"tracking: {{optuna: '{url}'}}\n"
    conductor = laboratory.run(text)
    laboratory.run(text.replace("trials: 12", "trials: 14"))
    copied = optuna.load_study(study_name=None, storage=url)
    assert [t.user_attrs["archsearch.trial"] for t in copied.trials] == list(range(14))
    values = {t.user_attrs["archsearch.trial"]: t.value for t in copied.trials}
    for trial in conductor.trials.values():
        assert values[trial.number] == pytest.approx(trial.objective_values[0])


@pytest.mark.parametrize(
    "text", [SEARCH.replace("12", "2") + "seeds: 2\nsampler: random\n", SWEEP], ids=["search", "sweep"]
)
def test_wherever_it_was_killed_no_infeasible_trial_is_ever_trained(
    text: str, laboratory: Laboratory, tmp_path: Path
) -> None:
    text += "constraints: {parameters: {max: 40_000}}\n"
    whole = told(laboratory.run(text))
    infeasible = {row[0] for row in whole if row[4] == "infeasible"}
    assert infeasible
    for kept in range(3, len(read_journal(laboratory.folder.journal)) + 1):
        other = Laboratory(tmp_path / f"cut-{kept}")
        other.run(text)
        other.keep(kept)
        executor = TableExecutor()
        assert told(other.run(text, executor)) == whole, f"cut after {kept} records"
        assert not infeasible & {trial for trial, _ in executor.trained}


def test_seeds_that_were_being_added_are_added_wherever_it_was_killed(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    more = SWEEP.replace("seeds: 2", "seeds: 4")
    before = len(read_journal(laboratory.run(SWEEP) and laboratory.folder.journal))
    whole = told(laboratory.run(more))
    for kept in range(before, len(read_journal(laboratory.folder.journal)) + 1):
        other = Laboratory(tmp_path / f"cut-{kept}")
        other.run(SWEEP)
        other.run(more)
        other.keep(kept)
        conductor = other.run(more)
        assert told(conductor) == whole, f"cut after {kept} records"
        assert all(set(trial.replicates) == {0, 1, 2, 3} for trial in conductor.trials.values())


def test_what_repeats_a_trial_is_told_after_it(laboratory: Laboratory) -> None:
    text = SEARCH.replace("training.learning_rate: {low: 0.01, high: 0.5, log: true}", "activation: [relu]")
    laboratory.run(text, TableExecutor(slots=4))
    order = [r.fields for r in read_journal(laboratory.folder.journal) if r.kind == "told"]
    ended: set[int] = set()
    for fields in order:
        assert fields["repeated_of"] is None or fields["repeated_of"] in ended
        ended.add(fields["trial"])
    assert any(fields["repeated_of"] is not None for fields in order)
