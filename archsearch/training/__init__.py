"""Training one replicate: from a job to reports after each epoch and a result, whatever comes of it."""

from archsearch.training.compute import choose_compute
from archsearch.training.evaluation import evaluate_test, load_network
from archsearch.training.loop import train
from archsearch.training.measures import load_metric_plugins
from archsearch.training.module import Classifier
from archsearch.training.values import Compute, EpochReport, Job, Outcome, Result

__all__ = [
    "Classifier",
    "Compute",
    "EpochReport",
    "Job",
    "Outcome",
    "Result",
    "choose_compute",
    "evaluate_test",
    "load_metric_plugins",
    "load_network",
    "train",
]
