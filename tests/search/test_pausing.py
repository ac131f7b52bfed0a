"""A search whose trials are paused and promoted, by the real conductor."""

from __future__ import annotations

import statistics

import pytest

from archsearch.journal import Journal
from archsearch.search.cell_search import CellSearch
from archsearch.study import parse_study
from tests.search.conftest import TableExecutor, hashed_curve

SEARCH = """
name: promoted
data: digits
architecture: {layout: cifar, depth: 20}
search:
  training.learning_rate: {low: 0.01, high: 0.5, log: true}
trials: 27
training: {epochs: 27, schedule: constant}
sampler: random
"""
ASHA = SEARCH + "scheduler: asha\n"


def lengths(conductor):
    return [len(t.replicates[0].epochs) for t in conductor.trials.values() if t.phase == "search"]


@pytest.mark.parametrize("slots", [1, 4])
def test_a_configuration_costs_about_a_ninth_of_a_training(laboratory, slots):
    executor = TableExecutor(slots)
    conductor = laboratory.run(ASHA, executor)

    outcomes = [trial.outcome for trial in conductor.trials.values()]
    assert len(outcomes) == 27
    assert set(outcomes) == {"complete", "pruned"}
    # asynchronous promotions make a few mistakes, which cost something
    assert 27 * 3 <= executor.epochs_trained <= 27 * 3 + 60
    assert executor.epochs_trained == sum(lengths(conductor))
    assert set(lengths(conductor)) <= {1, 3, 9, 27}


def test_what_goes_on_is_among_the_best(laboratory):
    conductor = laboratory.run(ASHA)
    finals = {t.number: hashed_curve(conductor.job(t.number, 0))[-1] for t in conductor.trials.values()}

    complete = [t.number for t in conductor.trials.values() if t.outcome == "complete"]
    assert statistics.mean(finals[n] for n in complete) > statistics.mean(finals.values()) + 0.2


def test_the_others_are_pruned_with_a_reason_and_their_states_removed(laboratory):
    conductor = laboratory.run(ASHA)

    pruned = [trial for trial in conductor.trials.values() if trial.outcome == "pruned"]
    for trial in pruned:
        replicate = trial.replicates[0]
        assert trial.reason == f"after epoch {len(replicate.epochs)}, not promoted"
        assert replicate.reason == "not promoted"
    assert not list(laboratory.folder.checkpoint(0, 0).parent.glob("*"))


def test_states_of_paused_trials_outlive_a_crash(laboratory):
    laboratory.run(ASHA.replace("trials: 27", "trials: 4"))
    lines = laboratory.folder.journal.read_bytes().splitlines()
    paused = next(i for i, line in enumerate(lines) if b'"paused"' in line)
    laboratory.keep(paused + 1)
    kept, stale = laboratory.folder.checkpoint(0, 0), laboratory.folder.checkpoint(9, 0)
    kept.parent.mkdir(exist_ok=True, parents=True)
    for path in (kept, stale):
        path.write_bytes(b"x")
    seen = []

    laboratory.run(ASHA.replace("trials: 27", "trials: 4"), listen=lambda _: seen.append(kept.exists()))

    assert seen[0]
    assert not stale.exists()


def test_a_worker_that_is_lost_in_a_rung_trains_to_the_end_of_that_rung(laboratory):
    executor = TableExecutor()
    executor.losses = 1
    conductor = laboratory.run(ASHA.replace("trials: 27", "trials: 3"), executor)

    assert lengths(conductor).count(1) == 2
    assert max(lengths(conductor)) == 27
    assert conductor.trials[0].replicates[0].attempts >= 2


def test_a_repeated_proposal_waits_for_the_paused_one_that_it_equals(laboratory):
    text = ASHA.replace("{low: 0.01, high: 0.5, log: true}", "[0.1, 0.2]").replace("trials: 27", "trials: 6")
    executor = TableExecutor()
    conductor = laboratory.run(text, executor)

    outcomes = sorted(trial.outcome for trial in conductor.trials.values())
    assert outcomes.count("repeated") == 4
    assert executor.epochs_trained == sum(
        len(t.replicates[0].epochs) for t in conductor.trials.values() if t.repeated_of is None
    )


def test_each_cell_is_scheduled_for_itself_and_has_an_answer(laboratory):
    text = ASHA.replace(", depth: 20}", "}\nsweep: {depth: [8, 20]}\nseeds: 2")
    text = text.replace("trials: 27", "trials: 2")
    conductor = laboratory.run(text)

    by_cell = {}
    for trial in conductor.trials.values():
        by_cell.setdefault((trial.cell["architecture.depth"], trial.phase), []).append(trial.outcome)
    for depth in (8, 20):
        assert sorted(by_cell[depth, "search"]) == ["complete", "pruned"]
        assert by_cell[depth, "confirm"] == ["complete"]


def test_one_that_fails_leaves_the_others_their_places(laboratory):
    def curve(job):
        fails = job.trial == 1
        return [0.9, float("nan")] if fails else hashed_curve(job)

    conductor = laboratory.run(ASHA.replace("trials: 27", "trials: 9"), TableExecutor(curve=curve))

    outcomes = [trial.outcome for trial in conductor.trials.values()]
    assert outcomes[1] == "failed"
    assert "complete" in outcomes


def test_a_budget_may_end_it_and_a_larger_one_goes_on(laboratory):
    first = TableExecutor()
    conductor = laboratory.run(ASHA + "budget: {epochs: 20}\n", first)
    assert None in [trial.outcome for trial in conductor.trials.values()]
    known = set(conductor.trials)
    with Journal.open(laboratory.folder.journal) as journal:
        # as `run` writes where a study has grown
        journal.append("question", text="a larger budget")

    second = TableExecutor()
    conductor = laboratory.run(ASHA + "budget: {epochs: 2000}\n", second)

    assert known < set(conductor.trials)
    assert None not in [trial.outcome for trial in conductor.trials.values()]


@pytest.mark.parametrize("name", ["asha", "pasha", "epochs_then_best"])
def test_a_study_that_is_over_has_nothing_to_do(laboratory, name):
    laboratory.run(SEARCH + f"scheduler: {name}\n")
    before = laboratory.folder.journal.read_bytes()

    again = TableExecutor()
    laboratory.run(SEARCH + f"scheduler: {name}\n", again)

    assert not again.trained
    assert laboratory.folder.journal.read_bytes() == before


def test_epochs_then_best_trains_three_to_their_end(laboratory):
    executor = TableExecutor(3)
    conductor = laboratory.run(SEARCH + "scheduler: epochs_then_best\n", executor)

    assert sorted(lengths(conductor)) == [1] * 24 + [27] * 3
    finals = {t.number: hashed_curve(conductor.job(t.number, 0))[-1] for t in conductor.trials.values()}
    best = sorted(finals, key=finals.__getitem__)[-3:]
    assert sorted(best) == [t.number for t in conductor.trials.values() if t.outcome == "complete"]


def test_tpe_learns_from_paused_trials_as_from_pruned_ones():
    text = ASHA.replace("sampler: random", "sampler: {name: tpe, n_startup_trials: 1}")
    study = parse_study(text, "study.yaml")

    def search(*, as_paused):
        found = CellSearch(study, "", {})
        for number, value in enumerate((0.2, 0.9, 0.1, 0.5, 0.3, 0.4)):
            found.ask(number)
            found.report(number, 0, value, depth=20)
            if as_paused:
                found.pause(number)
            else:
                found.tell(number, "pruned")
        return found

    paused, pruned = search(as_paused=True), search(as_paused=False)

    assert paused.ask(6) == pruned.ask(6)


def test_what_a_paused_trial_comes_to_replaces_what_it_showed():
    text = ASHA.replace("sampler: random", "sampler: {name: tpe, n_startup_trials: 1}")
    search = CellSearch(parse_study(text, "study.yaml"), "", {})
    for number in range(4):
        search.ask(number)
        search.report(number, 0, 0.1 * number, depth=20)
        search.pause(number)

    def ranks():
        search.ask(len(search._trials))
        return [list(row) for row in search._optuna.sampler.finished.ranks[:4]]

    assert ranks() == [[1, -1, pytest.approx(-0.1 * number)] for number in range(4)]
    search.report(1, 1, 0.7, depth=20)
    search.tell(2, "complete", [0.8])
    search.tell(3, "failed")
    first, second, third, fourth = ranks()
    assert first == [1, -1, 0]
    assert second == [1, -2, -0.7]
    assert third == [0, -0.8, 0]
    assert all(rank != rank for rank in fourth)
