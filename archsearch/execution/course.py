"""One training under way, epoch by epoch; what goes wrong in it becomes its result."""

from __future__ import annotations

import traceback

from archsearch.execution.protocol import Train
from archsearch.training.values import EpochReport, Job, Result


class Course:
    """Drives the generator of a training; an exception that escapes it is a result ``failed``."""

    def __init__(self, job: Job, train: Train) -> None:
        self.job = job
        self._generator = train(job)
        self._begun = False
        self._epochs = 0

    def advance(self, stop: bool) -> EpochReport | Result:
        """Train until the next report or the end; with `stop`, ask the training to end instead."""
        if stop and not self._begun:
            return stopped_before(self.job)
        try:
            event = self._generator.send(stop if self._begun else None)
        except StopIteration as end:
            result: Result = end.value
            return result
        # Failure is an outcome, whatever a plugin raises.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return Result(self.job.trial, self.job.seed, "failed", describe(error), self._epochs, {})
        self._begun = True
        self._epochs = event.epoch + 1
        return event

    def close(self) -> None:
        """Give up the training."""
        self._generator.close()


def describe(error: BaseException) -> str:
    """Return one line that says what happened, then the traceback."""
    line = traceback.format_exception_only(error)[-1].strip()
    return f"{line}\n{''.join(traceback.format_exception(error)).strip()}"


def stopped_before(job: Job) -> Result:
    """Return the result of a job that was stopped while it still waited."""
    return Result(job.trial, job.seed, "stopped", "stopped before it began", 0, {})
