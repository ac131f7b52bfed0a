"""What runs in a worker process: trainings, one after the other, until its pipe ends.

Packs (of one job or several) and stops come down the pipe; ``READY``, reports and results go up.
"""

from __future__ import annotations

import queue
from dataclasses import dataclass
from multiprocessing.connection import Connection

from archsearch.execution.child import begin_child, listen
from archsearch.execution.course import Course
from archsearch.execution.protocol import Train
from archsearch.training.values import Pack, Replicate

READY = "ready"


@dataclass(frozen=True)
class Stop:
    """Asks for the end of a replicate."""

    replicate: Replicate


def work(
    pipe: Connection, last_words: Connection, train: Train, visible_devices: str | None, sharing: int
) -> None:
    """Be a worker: returns never, and ends with the process that holds the pipe's other end.

    Args:
        pipe: To the conductor.
        last_words: Takes what would spoil the conductor's terminal.
        train: The training.
        visible_devices: The only CUDA devices this worker may see; None leaves them as they are.
        sharing: Workers, with this one, that may see them.
    """
    begin_child(last_words, visible_devices)
    inbox = Inbox(pipe)
    pipe.send(READY)
    while True:
        pack = inbox.next_pack()
        compute = pack.jobs[0].compute
        _set_threads(compute.threads)
        if compute.device == "cuda" and sharing > 1:
            _limit_memory(sharing)
        course = Course(pack, train)
        while not course.ended:
            pipe.send(course.advance(stop=course.turn in inbox.stops))


class Inbox:
    """Listens to the pipe in a thread, so that a training is never asked to wait for it."""

    def __init__(self, pipe: Connection) -> None:
        self.stops: set[Replicate] = set()
        self._packs: queue.SimpleQueue[Pack] = queue.SimpleQueue()
        listen(pipe, self._take)

    def next_pack(self) -> Pack:
        """Wait for something to train."""
        return self._packs.get()

    def _take(self, message: Pack | Stop) -> None:
        if isinstance(message, Stop):
            self.stops.add(message.replicate)
        else:
            # What asked an earlier attempt to end came too late, and is not for this one.
            self.stops.difference_update(message.replicates)
            self._packs.put(message)


def _set_threads(threads: int) -> None:
    import torch

    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    # These run graphs beside each other, which no training asks for; their number can be set once.
    if torch.get_num_interop_threads() != 1:
        torch.set_num_interop_threads(1)


def _limit_memory(sharing: int) -> None:
    from archsearch.training.memory import limit_memory

    limit_memory(sharing)
