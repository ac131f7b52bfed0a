"""How much a study asks for: trials and trainings, before it runs."""

from __future__ import annotations

from archsearch.study import StudyConfig


def count_trials(study: StudyConfig) -> int:
    """Count the trials that a study asks for, without baselines and confirmations."""
    cells = len(study.cells())
    return cells * (study.trials or 0) if study.search else cells


def count_trainings(study: StudyConfig) -> int:
    """Count the replicates of a study at most: of trials, baselines and confirmations."""
    cells, seeds = len(study.cells()), max(1, len(study.seeds))
    baselines = len(study.include) * seeds
    if not study.search:
        return cells * seeds + baselines
    trials = count_trials(study)
    # Of several objectives a whole front is confirmed, at worst every trial.
    confirmed = (cells if len(study.objectives) == 1 else trials) * len(study.confirmation_seeds)
    return trials + confirmed + baselines
