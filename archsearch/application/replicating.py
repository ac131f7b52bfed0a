"""Which trials of a study need another seed."""

from __future__ import annotations

from dataclasses import replace

from archsearch.journal import StudyHistory
from archsearch.study import StudyConfig


def find_undecided(study: StudyConfig, history: StudyHistory) -> list[int]:
    """Return the trials whose depths leave the verdict on their curve open, for want of seeds.

    Args:
        study: As it is now; it may have grown since its first session.
        history: What its trials have come to.
    """
    # Scipy takes a second to import, and most studies have a fixed number of seeds.
    from archsearch.analysis import cells_to_replicate, read_curves
    from archsearch.analysis.curve_results import LEVEL

    fewest = len(study.seeds)
    readings = {reading.results.label: reading for reading in read_curves(history)}
    curves = [
        # the whole level: each look takes its share of it
        replace(reading.results, level=LEVEL, smallest_difference=study.smallest_difference)
        for reading in readings.values()
    ]
    asked = cells_to_replicate(curves, fewest=fewest, most=fewest + len(study.more_seeds))
    return [
        trial.number
        for label, depths in asked.items()
        for trial in readings[label].trials
        if trial.architecture["depth"] in depths
    ]
