"""A worker process as the executor sees it: its work, and what it says of it."""

from __future__ import annotations

import pickle
from multiprocessing.context import BaseContext
from typing import Any

from archsearch.execution.child import Child
from archsearch.execution.limits import Limits, Stopwatch
from archsearch.execution.protocol import Train
from archsearch.execution.worker import READY, Stop, work
from archsearch.training.values import EpochReport, Pack, Replicate, Result


class WorkerHandle:
    """One worker process.

    Attributes:
        pack: What it was given last.
        under_way: The replicates that it trains, with the epochs that they reported; empty while it is idle.
        ready: Whether it has come up.
        stopwatch: Watches what is under way.
    """

    def __init__(
        self,
        context: BaseContext,
        train: Train,
        visible_devices: str | None,
        *,
        sharing: int = 1,
        limits: Limits | None = None,
    ) -> None:
        self.under_way: dict[Replicate, int] = {}
        self.pack: Pack | None = None
        self.ready = False
        self.visible_devices = visible_devices
        self.stopwatch = Stopwatch(limits or Limits())
        self._child = Child(context, work, train, visible_devices, sharing)

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self._child.pid

    @property
    def signs_of_life(self) -> list[Any]:
        """What to wait on: each becomes ready when `receive` has something to do."""
        return self._child.signs_of_life

    def start(self, pack: Pack) -> None:
        """Send one job or several down."""
        self.pack, self.under_way = pack, dict.fromkeys(pack.replicates, 0)
        self.stopwatch.start(len(pack.jobs), ready=self.ready)
        self._child.send(pickle.dumps(pack))

    def stop(self, replicate: Replicate) -> None:
        """Send the wish to stop a replicate down."""
        self._child.send(pickle.dumps(Stop(replicate)))

    def receive(self) -> list[EpochReport | Result]:
        """Return what has come up since the last call, without waiting.

        Raises:
            EOFError: The worker is dead, and all that it had said was returned before.
        """
        events: list[EpochReport | Result] = []
        for message in self._child.receive():
            if message == READY:
                self.ready = True
                self.stopwatch.start(len(self.under_way))
                continue
            self.stopwatch.hear()
            events.append(message)
            if isinstance(message, EpochReport):
                self.under_way[message.replicate] = message.epoch + 1
            else:
                del self.under_way[message.replicate]
        return events

    def lost_results(self) -> list[Result]:
        """Return the results of the replicates that this worker took with it."""
        return [
            Result(trial, seed, "lost", self.cause_of_death(), epochs, {})
            for (trial, seed), epochs in self.under_way.items()
        ]

    def cause_of_death(self) -> str:
        """Say how a dead worker died, with what it had written last."""
        return f"worker died: {self._child.cause_of_death()}"

    def hang_up(self) -> None:
        """Let the process end by itself, which it does at once."""
        self._child.hang_up()

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._child.kill()

    def close(self) -> None:
        """Wait for the end of the process, and bring it about where need be; a second call does nothing."""
        self._child.close()
