"""What runs in a worker process: trainings, one after the other, until its pipe ends.

Packs (of one job or several) and stops come down the pipe; ``READY``, reports and results go up.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection

from archsearch.execution.course import Course
from archsearch.execution.protocol import Train
from archsearch.training.values import Pack, Replicate

READY = "ready"


@dataclass(frozen=True)
class Stop:
    """Asks for the end of a replicate."""

    replicate: Replicate


def work(pipe: Connection, last_words: Connection, train: Train, visible_device: str | None) -> None:
    """Be a worker: returns never, and ends with the process that holds the pipe's other end.

    Args:
        pipe: To the conductor.
        last_words: Takes what would spoil the conductor's terminal: warnings, messages of a crash.
        train: The training.
        visible_device: The only CUDA device this worker may see; None leaves them as they are.
    """
    # Ctrl-C reaches the whole group of the terminal, and is the conductor's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(last_words.fileno(), 1)
    os.dup2(last_words.fileno(), 2)
    warnings.simplefilter("ignore")
    if visible_device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_device
    inbox = Inbox(pipe)
    pipe.send(READY)
    while True:
        pack = inbox.next_pack()
        _set_threads(pack.jobs[0].compute.threads)
        course = Course(pack, train)
        while not course.ended:
            pipe.send(course.advance(stop=course.turn in inbox.stops))


class Inbox:
    """Listens to the pipe in a thread, so that a training is never asked to wait for it."""

    def __init__(self, pipe: Connection) -> None:
        self.stops: set[Replicate] = set()
        self._pipe = pipe
        self._packs: queue.SimpleQueue[Pack] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def next_pack(self) -> Pack:
        """Wait for something to train."""
        return self._packs.get()

    def _listen(self) -> None:
        try:
            while True:
                message = self._pipe.recv()
                if isinstance(message, Stop):
                    self.stops.add(message.replicate)
                else:
                    # What asked an earlier attempt to end came too late, and is not for this one.
                    self.stops.difference_update(message.replicates)
                    self._packs.put(message)
        finally:
            # The conductor let go or is dead, and nobody waits for what is being trained.
            os._exit(0)


def _set_threads(threads: int) -> None:
    import torch

    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
