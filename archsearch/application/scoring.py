"""Predictors of the networks that a study has trained, so that its report can say what they are worth."""

from __future__ import annotations

from archsearch.analysis.predictor_ranks import finished_networks
from archsearch.data import load_dataset
from archsearch.journal import TrialHistory
from archsearch.search.conductor import Conductor
from archsearch.study import StudyConfig
from archsearch.training.predictors import MEASURED, score_network


def list_unscored(study: StudyConfig, conductor: Conductor) -> list[TrialHistory]:
    """A trial of each network that was trained in full and is still to be scored, where that is asked for."""
    if not study.predictors:
        return []
    networks = finished_networks(conductor.trials.values())
    return [network[0] for network in networks if not any(trial.predictors for trial in network)]


def score_networks(study: StudyConfig, conductor: Conductor) -> None:
    """Score them, and record what was found."""
    for trial in list_unscored(study, conductor):
        job = conductor.job(trial.number, trial.seeds[0])
        dataset = load_dataset(job.data)
        scores = {name: score_network(job.architecture, dataset, name) for name in MEASURED}
        conductor.record("predictors", trial=trial.number, scores=scores)
