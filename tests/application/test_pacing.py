"""Studies with a budget, under a clock that is only counted: they plan themselves into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from archsearch.application.pacing import BudgetPacing
from archsearch.journal import Journal, RunFolder
from archsearch.search.agenda import FRUITLESS
from archsearch.search.conductor import Conductor
from archsearch.search.jobs import Workplace
from archsearch.search.spending import Spending
from archsearch.study import parse_study
from archsearch.training import Compute, EpochReport, Job, Result
from tests.application.progress.simulated import TRAIN_IMAGES, TimedExecutor, by_macs

SEARCH = """
name: searched
data: digits
search:
  block: [plain, residual]
  depth: [8, 14, 20]
  width: [8, 12, 16]
  training.learning_rate: {low: 0.01, high: 0.5, log: true}
seeds: 3
sampler: random
training: {epochs: 5, batch_size: 64}
tracking: {enabled: false}
"""
SWEEP = """
name: swept
data: digits
architecture: {width: 8}
sweep: {block: [plain, residual], depth: [8, 14, 20, 26, 32]}
training: {epochs: 5, batch_size: 64}
tracking: {enabled: false}
"""


class LateExecutor(TimedExecutor):
    """A training that is to stop does so after the epoch that it is in."""

    def stop(self, trial: int, seed: int) -> None:
        due, epoch = min(
            (due, event.epoch)
            for due, _, event in self._due
            if isinstance(event, EpochReport) and event.replicate == (trial, seed)
        )
        self._stopped.add((trial, seed))
        self._schedule(due, Result(trial, seed, "stopped", "", epoch, {}))


class Paced:
    """One session of a study with a budget.

    Attributes:
        spent: What it has spent, with the seconds that preparing took.
    """

    def __init__(
        self,
        text: str,
        folder: Path,
        *,
        slots: int = 1,
        preparing_s: float = 0.0,
        epoch_s: Callable[[Sequence[Job]], float] = by_macs,
    ) -> None:
        study = parse_study(text, "study.yaml")
        self.executor = executor = LateExecutor(slots, epoch_s)
        self.spent = Spending()
        with Journal.open(RunFolder(folder).journal, clock=lambda: executor.now_s) as journal:
            if not journal.records:
                objectives = dict(study.objectives)
                journal.append("study", name=study.name, train_images=TRAIN_IMAGES, objectives=objectives)
            else:
                executor.now_s = journal.records[-1].time + 36_000
                journal.append("question", text=text)
            conductor = Conductor(
                study,
                journal,
                Workplace(executor, Compute(), RunFolder(folder)),
                pacing=BudgetPacing(study, TRAIN_IMAGES),
            )
            self.begun = conductor.take_up()
            if self.begun:
                conductor.record("session", slots=slots, host="here", preparing_s=preparing_s)
                conductor.record("finished", reason=conductor.run())
            for record in journal.records:
                self.spent.add(record)
            self.history = conductor.history
        self.trials = list(self.history.trials.values())

    def of(self, phase: str, outcome: str = "complete") -> int:
        return sum(trial.phase == phase and trial.outcome == outcome for trial in self.trials)


@pytest.mark.parametrize(("slots", "hours"), [(1, 0.05), (2, 0.05), (4, 0.08)])
def test_a_search_spends_its_hours_and_confirms_its_best(slots: int, hours: float, tmp_path: Path) -> None:
    paced = Paced(f"{SEARCH}budget: {{hours: {hours}}}\n", tmp_path, slots=slots, preparing_s=10.0)

    assert 0.9 * hours <= paced.spent.hours <= hours
    assert paced.of("confirm") >= 1
    # the best of the search is one of those that were confirmed
    searched = [t for t in paced.trials if t.phase == "search" and t.outcome == "complete"]
    best = max(searched, key=lambda trial: trial.objective_values)
    confirmed = [dict(t.values) for t in paced.trials if t.phase == "confirm" and t.outcome == "complete"]
    assert dict(best.values) in confirmed
    assert "the budget of" in (paced.history.finished or "")


@pytest.mark.parametrize("sampler", ["tpe", "local_search"])
def test_whatever_the_sampler_epochs_are_kept_to(sampler: str, tmp_path: Path) -> None:
    text = SEARCH.replace("sampler: random", f"sampler: {sampler}")
    paced = Paced(f"{text}budget: {{epochs: 100}}\n", tmp_path, slots=2)

    # 3 confirmations of 5 epochs; less than a training is left
    assert 95 < paced.spent.epochs <= 100
    assert (paced.of("confirm"), paced.of("search", "pruned")) == (1, 0)


def test_macs_are_kept_to(tmp_path: Path) -> None:
    paced = Paced(f"{SEARCH}budget: {{macs: 3.0e+11}}\n", tmp_path, slots=2)

    assert 0.7 * 3e11 < paced.spent.macs <= 3e11
    assert paced.of("confirm") == 1


def test_each_cell_has_its_confirmation(tmp_path: Path) -> None:
    text = SEARCH.replace("  depth: [8, 14, 20]\n", "") + "sweep: {depth: [8, 14, 20]}\n"
    paced = Paced(f"{text}budget: {{hours: 0.05}}\n", tmp_path, slots=2)

    assert {t.cell["architecture.depth"] for t in paced.trials if t.phase == "confirm"} == {8, 14, 20}
    assert all(t.outcome == "complete" for t in paced.trials if t.phase == "confirm")
    assert 0.9 * 0.05 <= paced.spent.hours <= 0.05


def test_of_several_objectives_the_front_has_its_confirmations(tmp_path: Path) -> None:
    text = SEARCH + "objectives: {val_accuracy: maximize, parameters: minimize}\n"
    paced = Paced(f"{text}budget: {{hours: 0.05}}\n", tmp_path, slots=2)

    assert paced.of("confirm") > 1
    assert paced.of("confirm") == sum(t.phase == "confirm" for t in paced.trials)
    assert paced.spent.hours <= 1.1 * 0.05


def test_a_machine_that_becomes_slower_costs_trials_and_no_confirmation(tmp_path: Path) -> None:
    begun: list[int] = []

    def slower(jobs: Sequence[Job]) -> float:
        begun.append(1)
        # of 5 epochs each
        return by_macs(jobs) * (1.0 if len(begun) < 60 else 1.25)

    paced = Paced(f"{SEARCH}budget: {{hours: 0.05}}\n", tmp_path, epoch_s=slower)

    assert paced.of("confirm") == 1
    assert paced.spent.hours <= 1.1 * 0.05


def test_a_search_training_is_stopped_in_time_for_the_confirmation(tmp_path: Path) -> None:
    # All of the same network; the third takes far longer than was to be expected.
    text = SEARCH.replace("depth: [8, 14, 20]", "depth: [8]").replace("width: [8, 12, 16]", "width: [8]")
    text = text.replace("block: [plain, residual]", "block: [plain]")

    def one_is_slow(jobs: Sequence[Job]) -> float:
        return 20.0 if jobs[0].trial == 2 else 2.0

    paced = Paced(f"{text}budget: {{hours: 0.03}}\n", tmp_path, epoch_s=one_is_slow)

    cut = paced.trials[2]
    assert cut.outcome == "pruned"
    assert cut.reason == "after epoch 1, stopped, for the budget has no room for another epoch"
    assert paced.of("confirm") == 1
    assert paced.spent.hours <= 1.1 * 0.03


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("scheduler", ["asha", "pasha", "{name: epochs_then_best, finalists: 2}"])
@pytest.mark.parametrize("budget", ["epochs: 120", "hours: 0.05", "macs: 3.0e+11"])
def test_whatever_the_scheduler_the_search_has_an_answer_within_its_budget(
    budget: str, scheduler: str, slots: int, tmp_path: Path
) -> None:
    text = SEARCH.replace("epochs: 5,", "epochs: 9, schedule: constant,")
    more = f"trials: 200\nscheduler: {scheduler}\nbudget: {{{budget}}}\n"
    paced = Paced(text + more, tmp_path, slots=slots)

    assert paced.of("search", "pruned") > 5
    assert paced.of("search") >= 1
    assert paced.of("confirm") == 1
    assert not [trial.number for trial in paced.trials if trial.outcome is None]
    spent = {"epochs": paced.spent.epochs / 120, "hours": paced.spent.hours / 0.05}
    spent["macs"] = paced.spent.macs / 3e11
    assert 0.6 < spent[budget.partition(":")[0]] <= 1


@pytest.mark.parametrize("slots", [1, 2])
def test_of_a_sweep_nothing_is_begun_that_cannot_end(slots: int, tmp_path: Path) -> None:
    paced = Paced(f"{SWEEP}budget: {{hours: 0.005}}\n", tmp_path, slots=slots)

    assert paced.spent.hours <= 0.005
    assert 2 <= paced.of("sweep") < 10
    assert all(t.outcome in ("complete", None) for t in paced.trials)
    assert all(not t.replicates for t in paced.trials if t.outcome is None)


def test_what_a_sweep_is_stopped_over_goes_on_with_more_to_spend(tmp_path: Path) -> None:
    def one_is_slow(jobs: Sequence[Job]) -> float:
        return 20.0 if jobs[0].trial == 2 else 2.0

    text = f"{SWEEP}budget: {{hours: 0.02}}\n"
    first = Paced(text, tmp_path, epoch_s=one_is_slow)
    stopped = first.trials[2]
    assert (stopped.outcome, stopped.replicates[0].outcome) == (None, "lost")
    assert first.spent.hours <= 1.1 * 0.02

    second = Paced(text.replace("0.02", "2"), tmp_path)

    assert second.of("sweep") == 10
    assert second.history.finished == "every trial asked for has ended"


def test_a_study_that_its_budget_ended_begins_nothing_more(tmp_path: Path) -> None:
    text = f"{SEARCH}budget: {{hours: 0.05}}\n"
    study = parse_study(text, "study.yaml")
    Paced(text, tmp_path)
    with Journal.open(RunFolder(tmp_path).journal) as journal:
        before = len(journal.records)
        place = Workplace(LateExecutor(1), Compute(), RunFolder(tmp_path))
        conductor = Conductor(study, journal, place, pacing=BudgetPacing(study, TRAIN_IMAGES))

        assert not conductor.take_up()
        assert len(journal.records) == before


def test_more_to_spend_goes_on_from_what_was_spent(tmp_path: Path) -> None:
    first = Paced(f"{SEARCH}budget: {{epochs: 60}}\n", tmp_path)
    second = Paced(f"{SEARCH}budget: {{epochs: 120}}\n", tmp_path)

    assert first.spent.epochs <= 60
    # What another confirmation would take is kept.
    assert 105 <= second.spent.epochs <= 120
    assert len(second.trials) > len(first.trials)


def test_what_suffices_for_all_changes_nothing(tmp_path: Path) -> None:
    limited = Paced(f"{SEARCH}trials: 8\nbudget: {{hours: 9, epochs: 9000}}\n", tmp_path, slots=2)

    assert limited.history.finished == "every trial asked for has ended"
    assert sum(t.phase == "search" for t in limited.trials) == 8


def test_a_search_that_finds_nothing_new_ends_before_its_budget(tmp_path: Path) -> None:
    text = SEARCH.replace("{low: 0.01, high: 0.5, log: true}", "[0.1]").replace("[8, 12, 16]", "[8]")
    paced = Paced(f"{text}budget: {{hours: 9}}\n", tmp_path)

    assert paced.history.finished == "every trial asked for has ended"
    assert [t.outcome for t in paced.trials if t.phase == "search"][-FRUITLESS:] == ["repeated"] * FRUITLESS
    assert (paced.of("search"), paced.of("confirm")) == (6, 1)


@pytest.mark.parametrize("scheduler", ["asha", "pasha"])
def test_a_search_that_only_repeats_what_is_paused_ends_before_its_budget(
    scheduler: str, tmp_path: Path
) -> None:
    text = SEARCH.replace("{low: 0.01, high: 0.5, log: true}", "[0.1]")
    paced = Paced(f"{text}scheduler: {scheduler}\nbudget: {{hours: 9}}\n", tmp_path)

    assert paced.history.finished == "every trial asked for has ended"
    searched = [trial for trial in paced.trials if trial.phase == "search"]
    assert len(searched) < 4 * FRUITLESS
    assert any(trial.outcome == "complete" for trial in searched)
    assert paced.of("confirm") == 1


def test_a_budget_of_less_than_a_training_begins_none(tmp_path: Path) -> None:
    paced = Paced(f"{SEARCH}budget: {{epochs: 4}}\n", tmp_path)

    assert (paced.trials, paced.spent.epochs) == ([], 0)
    assert paced.history.finished == "the budget of 4 epochs has no room for another training"


def test_what_is_too_large_to_be_trained_costs_nothing(tmp_path: Path) -> None:
    # Three in four proposals are infeasible, each of them as dear as the whole budget.
    text = SEARCH.replace("width: [8, 12, 16]", "width: [8, 128, 144, 160]")
    more = "constraints: {parameters: {max: 500_000}}\nbudget: {macs: 4.0e+11}\n"
    paced = Paced(text + more, tmp_path)

    assert paced.of("search", "infeasible") > 5
    assert paced.of("search") > 5
    assert paced.of("confirm") == 1
    assert 0.7 * 4e11 < paced.spent.macs <= 4e11


@pytest.mark.parametrize(
    ("budget", "scheduler"),
    [("hours: 0.2", "asha"), ("macs: 1.0e+12", "{name: epochs_then_best, finalists: 2}")],
)
def test_where_only_small_networks_still_fit_every_cell_has_its_answer(
    budget: str, scheduler: str, tmp_path: Path
) -> None:
    text = SEARCH.replace("epochs: 5,", "epochs: 9, schedule: constant,")
    text = text.replace("  depth: [8, 14, 20]\n", "") + "sweep: {depth: [8, 56]}\n"
    paced = Paced(f"{text}trials: 200\nscheduler: {scheduler}\nbudget: {{{budget}}}\n", tmp_path)

    searched = [trial.cell["architecture.depth"] for trial in paced.trials if trial.phase == "search"]
    assert searched.count(8) > searched.count(56) > 0
    assert not [trial.number for trial in paced.trials if trial.outcome is None]
    confirmed = [trial.cell["architecture.depth"] for trial in paced.trials if trial.phase == "confirm"]
    assert sorted(confirmed) == [8, 56]


def test_seeds_that_are_asked_for_the_next_day_find_the_budget_as_it_was_left(tmp_path: Path) -> None:
    text = f"{SWEEP}budget: {{hours: 2}}\n"
    first = Paced(text, tmp_path)
    second = Paced(f"{text}seeds: 2\n", tmp_path)

    assert first.spent.hours < second.spent.hours < 2 * first.spent.hours + 0.01
    assert {len(trial.replicates) for trial in second.trials} == {2}
