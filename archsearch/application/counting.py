"""How much a study asks for: trials and trainings, before it runs."""

from __future__ import annotations

from archsearch.search.agenda import OPEN_TRIALS
from archsearch.study import StudyConfig


def count_trials(study: StudyConfig) -> int:
    """Count the trials that a study asks for, without baselines and confirmations.

    A search that its budget alone ends counts as one of many trials.
    """
    cells = len(study.cells())
    return cells * (study.trials or OPEN_TRIALS) if study.search else cells


def count_trainings(study: StudyConfig) -> int:
    """Count the replicates of a study at most: of trials, baselines and confirmations."""
    # Baselines stand in no curve, to which seeds could be added.
    cells, baselines = len(study.cells()), len(study.include) * max(1, len(study.seeds))
    seeds = len(study.seeds) + len(study.more_seeds)
    if not study.search:
        return cells * seeds + baselines
    return count_trials(study) + _count_best(study) * seeds + baselines


def count_kept(study: StudyConfig) -> int:
    """Count the replicates whose weights stay on disk while a study runs, at most; under `execution.keep`."""
    trainings = count_trainings(study)
    if study.execution.keep == "all" or not study.search:
        return trainings
    return trainings - count_trials(study) + _count_best(study)


def _count_best(study: StudyConfig) -> int:
    # Of several objectives a whole front is the best, at worst every trial.
    return len(study.cells()) if len(study.objectives) == 1 else count_trials(study)
