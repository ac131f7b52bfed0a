"""One training under way, epoch by epoch; what goes wrong in it becomes its result."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Generator

from archsearch.execution.protocol import Train
from archsearch.training.values import EpochReport, Job, Outcome, Pack, Replicate, Result, as_pack


class Course:
    """Drives the generator of a training; an exception that escapes it fails what was under way.

    Attributes:
        turn: The replicate whose news came last, which a stop would now be asked of.
    """

    def __init__(self, work: Job | Pack, train: Train) -> None:
        self._pack = as_pack(work)
        self._train = train
        self._generator: Generator[EpochReport | Result, bool | None, Result] | None = None
        self._epochs: dict[Replicate, int] = dict.fromkeys(self._pack.replicates, 0)
        self._reported = False
        self._failure = ""
        self._failing: Outcome = "failed"
        self.turn = self._pack.replicates[0]

    @property
    def ended(self) -> bool:
        """Whether every replicate has its result."""
        return not self._epochs

    @property
    def under_way(self) -> tuple[Replicate, ...]:
        """The replicates that have no result yet."""
        return tuple(self._epochs)

    def advance(self, stop: bool) -> EpochReport | Result:
        """Train until the next report or the end of a replicate; with `stop`, that of the one in turn."""
        if self._generator is None and stop:
            return self._take(stopped_before(self.turn))
        if self._failure:
            return self._fail()
        try:
            if self._generator is None:
                jobs = tuple(job for job in self._pack.jobs if job.replicate in self._epochs)
                self._generator = self._train(jobs[0] if len(jobs) == 1 else Pack(jobs))
                return self._take(next(self._generator))
            return self._take(self._generator.send(stop and self._reported))
        except StopIteration as end:
            result: Result = end.value
            return self._take(result)
        # Failure is an outcome, whatever a plugin raises.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self._failure = describe(error)
            return self._fail()

    def abandon(self, outcome: Outcome, reason: str) -> None:
        """Give up the training; what was under way ends like this, one after the other."""
        self.close()
        self._failing, self._failure = outcome, reason

    def close(self) -> None:
        """Give up the training."""
        if self._generator is not None:
            self._generator.close()

    def _take(self, event: EpochReport | Result) -> EpochReport | Result:
        self.turn = event.replicate
        self._reported = isinstance(event, EpochReport)
        if isinstance(event, EpochReport):
            self._epochs[event.replicate] = event.epoch + 1
            return event
        del self._epochs[event.replicate]
        # one that was stopped before it began leaves the turn to the next
        if self._generator is None and self._epochs:
            self.turn = next(iter(self._epochs))
        return event

    def _fail(self) -> EpochReport | Result:
        (trial, seed), epochs = next(iter(self._epochs.items()))
        return self._take(Result(trial, seed, self._failing, self._failure, epochs, {}))


def describe(error: BaseException) -> str:
    """Return one line that says what happened, then the traceback."""
    line = traceback.format_exception_only(error)[-1].strip()
    return f"{line}\n{''.join(traceback.format_exception(error)).strip()}"


def stopped_before(replicate: Replicate) -> Result:
    """Return the result of a replicate that was stopped while it still waited."""
    return Result(*replicate, "stopped", "stopped before it began", 0, {})


def take_out(waiting: deque[Pack], replicate: Replicate) -> bool:
    """Take a replicate out of what waits; returns whether it was there."""
    for place, pack in enumerate(waiting):
        if replicate in pack.replicates:
            rest = pack.without(replicate)
            waiting[place] = rest
            if not rest.jobs:
                del waiting[place]
            return True
    return False
