"""Workers with the training that they are for."""

import os
import signal

import pytest

from archsearch.architecture import resolve_architecture
from archsearch.execution import Devices, build_executor
from archsearch.study.settings import DataSettings, ExecutionSettings, TrainingSettings
from archsearch.training import Compute, EpochReport, Job, Result

pytestmark = pytest.mark.slow


def make_job(trial, epochs):
    architecture = resolve_architecture({"block": "residual", "depth": 8, "width": 4})
    return Job(trial, 0, architecture, TrainingSettings(epochs=epochs), DataSettings(), Compute())


def train(executor, trial, epochs):
    executor.submit(make_job(trial, epochs))
    while not isinstance(event := executor.wait(60), Result):
        assert event is not None
    return event


def build(executor):
    return build_executor(ExecutionSettings(executor=executor, workers=1), devices=Devices("cpu"))


def test_a_killed_replicate_trained_again_ends_like_one_that_was_not_and_like_inline():
    with build("local") as executor:
        executor.submit(make_job(0, epochs=500))
        assert isinstance(executor.wait(60), EpochReport)
        os.kill(executor.worker_pids[0], signal.SIGKILL)
        while not isinstance(lost := executor.wait(60), Result):
            pass
        again = train(executor, 0, epochs=2)
    with build("inline") as executor:
        inline = train(executor, 0, epochs=2)

    assert (lost.outcome, lost.reason) == ("lost", "worker died: killed by signal 9")
    assert again.outcome == inline.outcome == "complete"
    assert again.metrics["val_loss"] == inline.metrics["val_loss"]
