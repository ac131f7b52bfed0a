"""How many trainings a budget allows, by what one of them takes on average."""

from __future__ import annotations

import math
from dataclasses import dataclass

from archsearch.application.counting import count_trainings, count_trials
from archsearch.application.pacing import say_budget
from archsearch.study import StudyConfig
from archsearch.study.settings import BudgetSettings


@dataclass(frozen=True)
class Training:
    """What a training takes on average.

    Attributes:
        hours: Of one slot.
        macs: Multiply-accumulates of the forward passes over its images.
    """

    hours: float
    epochs: float
    macs: float


@dataclass(frozen=True)
class Allowed:
    """What a budget allows, about.

    Attributes:
        trainings: At most as many as the study asks for.
        trials: Of them those of a search, where confirmations and baselines have what they need; without a
            search all cells whose seeds can be trained.
        sentence: The same in words.
    """

    trainings: int
    trials: int
    sentence: str


def count_allowed(study: StudyConfig, training: Training, workers: int) -> Allowed | None:
    """Count the trainings that a study's budget allows; None where it has none.

    Args:
        study: The study.
        training: What one takes.
        workers: Trainings at a time.
    """
    budget = study.budget
    if budget == BudgetSettings():
        return None
    parts = (
        (budget.hours, training.hours / workers),
        (budget.epochs, training.epochs),
        (budget.macs, training.macs),
    )
    most = min(given / each if each else math.inf for given, each in parts if given is not None)
    asked, trials = count_trainings(study), count_trials(study)
    said = f"The budget of {say_budget(budget)}"
    if most >= asked and (study.trials is not None or not study.search):
        return Allowed(asked, trials, f"{said} suffices for all of it.")
    trainings = math.floor(min(most, 10**9))
    if not study.search:
        cells = trainings // max(1, len(study.seeds))
        return Allowed(
            trainings, min(trials, cells), f"{said} allows about {trainings:,} of the {asked:,} trainings."
        )
    found = max(0, trainings - (asked - trials))
    beside = asked - trials
    noun = "training" if beside == 1 else "trainings"
    end = f", and {beside:,} {noun} of confirmations and baselines" if beside else ""
    return Allowed(found + beside, found, f"{said} allows about {found:,} trials of the search{end}.")
