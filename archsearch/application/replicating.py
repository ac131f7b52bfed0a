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
    from archsearch.analysis.replication import look_level

    fewest = len(study.seeds)
    readings = {reading.results.label: reading for reading in read_curves(history)}
    most = fewest + len(study.more_seeds)
    curves = [
        replace(
            reading.results,
            level=look_level(reading.count_looks(fewest), most=most - fewest),
            smallest_difference=study.smallest_difference,
        )
        for reading in readings.values()
    ]
    asked = cells_to_replicate(curves, fewest=fewest, most=most)
    return [
        trial.number
        for label, depths in asked.items()
        for trial in readings[label].trials
        if trial.architecture["depth"] in depths
    ]
