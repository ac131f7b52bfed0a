"""What runs in a rank, one of the processes that train a job together, until its pipe ends.

A job comes down the pipe, with its data where they are new; after each epoch, whether to stop. Every rank
sends its result up, and rank 0 the reports: ranks decide nothing, so they need not speak of it to each other.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection
from typing import Any

from archsearch.execution.child import begin_child, listen
from archsearch.execution.course import Course
from archsearch.training.values import EpochReport, Job, Result, Seat

TrainShare = Callable[[Job, Seat], Generator[EpochReport | Result, bool | None, Result]]
"""A rank's part of a training: all ranks yield alike, and are sent the same."""


def be_rank(
    pipe: Connection, last_words: Connection, train: TrainShare, seat: Seat, visible_devices: str | None
) -> None:
    """Be a rank: returns never, and ends with the process that holds the pipe's other end."""
    begin_child(last_words, visible_devices)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listen(pipe, inbox.put)
    while True:
        job, data = inbox.get()
        if data is not None:
            _give(job, data)
        course = Course(job, lambda work: train(work, seat))
        stop = False
        while not course.ended:
            event = course.advance(stop)
            if seat.rank == 0 or isinstance(event, Result):
                pipe.send(event)
            if not course.ended:
                stop = inbox.get()


def _give(job: Job, data: dict[str, Any]) -> None:
    # Not at the top: torch takes seconds to import where no server has done so.
    from archsearch.data import give_dataset
    from archsearch.execution.shipping import assemble

    give_dataset(job.data, assemble(data))
