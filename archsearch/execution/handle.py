"""A worker process as the executor sees it: its pipe, its work, its end."""

from __future__ import annotations

import os
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from archsearch.errors import ExecutionError
from archsearch.execution.launching import start_quietly
from archsearch.execution.protocol import Train
from archsearch.execution.worker import READY, Stop, work
from archsearch.training.values import EpochReport, Pack, Replicate, Result

_LAST_WORDS_BYTES = 2000


class WorkerHandle:
    """One worker process.

    Attributes:
        pack: What it was given last.
        under_way: The replicates that it trains, with the epochs that they reported; empty while it is idle.
        ready: Whether it has come up.
    """

    def __init__(self, context: BaseContext, train: Train, visible_device: str | None) -> None:
        self.under_way: dict[Replicate, int] = {}
        self.pack: Pack | None = None
        self.ready = False
        self.visible_device = visible_device
        self._words = b""
        self._closed = False
        self._pipe, far_pipe = context.Pipe(duplex=True)
        self._words_pipe, far_words = context.Pipe(duplex=False)
        arguments = (far_pipe, far_words, train, visible_device)
        # Daemonic: multiprocessing ends it at exit should the executor never have been left.
        self._process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=work, args=arguments, daemon=True, name="archsearch-worker"
        )
        try:
            start_quietly(context, self._process)
        except (OSError, EOFError) as error:
            raise ExecutionError(f"A worker process could not be started: {error!r}.") from error
        finally:
            far_pipe.close()
            far_words.close()

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self._process.pid

    @property
    def signs_of_life(self) -> list[Any]:
        """What to wait on: each becomes ready when `receive` has something to do."""
        words = [] if self._words_pipe.closed else [self._words_pipe]
        return [self._pipe, self._process.sentinel, *words]

    def start(self, pack: Pack) -> None:
        """Send one job or several down."""
        self.pack, self.under_way = pack, dict.fromkeys(pack.replicates, 0)
        self._send(pack)

    def stop(self, replicate: Replicate) -> None:
        """Send the wish to stop a replicate down."""
        self._send(Stop(replicate))

    def receive(self) -> list[EpochReport | Result]:
        """Return what has come up since the last call, without waiting.

        Raises:
            EOFError: The worker is dead, and all that it had said was returned before.
        """
        self._listen_to_words()
        alive = self._process.is_alive()
        events: list[EpochReport | Result] = []
        try:
            while self._pipe.poll():
                message = self._pipe.recv()
                if message == READY:
                    self.ready = True
                    continue
                events.append(message)
                if isinstance(message, EpochReport):
                    self.under_way[message.replicate] = message.epoch + 1
                else:
                    del self.under_way[message.replicate]
        except (EOFError, OSError):
            alive = False
        if not alive and not events:
            raise EOFError
        return events

    def lost_results(self) -> list[Result]:
        """Return the results of the replicates that this worker took with it."""
        return [
            Result(trial, seed, "lost", self.cause_of_death(), epochs, {})
            for (trial, seed), epochs in self.under_way.items()
        ]

    def cause_of_death(self) -> str:
        """Say how a dead worker died, with what it had written last."""
        self._process.join(5)
        self._listen_to_words()
        code = self._process.exitcode
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        words = self._words.decode(errors="replace").strip()
        return f"worker died: {how}" + (f"\n{words}" if words else "")

    def hang_up(self) -> None:
        """Let the process end by itself, which it does at once."""
        self._pipe.close()

    def close(self) -> None:
        """Wait for the end of the process, and bring it about where need be; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self.hang_up()
        self._process.join(1)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._words_pipe.close()
        self._process.close()

    def _send(self, message: Pack | Stop) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            # It has died; `receive` will notice.
            return

    def _listen_to_words(self) -> None:
        while not self._words_pipe.closed and self._words_pipe.poll():
            data = os.read(self._words_pipe.fileno(), 65536)
            if not data:
                self._words_pipe.close()
            self._words = (self._words + data)[-_LAST_WORDS_BYTES:]
