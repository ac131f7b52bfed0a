"""A process of ours and its parent: how it starts and ends, and what both hear of each other.

A child lives no longer than its parent holds the other end of its pipe, whatever it is doing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from archsearch.errors import ExecutionError
from archsearch.execution.launching import start_quietly

_LAST_WORDS_BYTES = 2000


class Child:
    """A child process, as its parent sees it.

    Args:
        context: Of `prepare_context`.
        target: Called in the child with its pipe, a pipe for its last words (see `begin_child`), `arguments`.
        arguments: What else it is given.

    Raises:
        ExecutionError: It cannot be started.
    """

    def __init__(self, context: BaseContext, target: Callable[..., None], *arguments: Any) -> None:
        self._words = b""
        self._closed = False
        self._pipe, far_pipe = context.Pipe(duplex=True)
        self._words_pipe, far_words = context.Pipe(duplex=False)
        # Daemonic: multiprocessing ends it at exit should its owner never have closed it.
        self._process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=target, args=(far_pipe, far_words, *arguments), daemon=True, name="archsearch-worker"
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

    def send(self, pickled: bytes) -> None:
        """Send something down, pickled."""
        try:
            self._pipe.send_bytes(pickled)
        except OSError:
            # It has died; `receive` will notice.
            return

    def receive(self) -> list[Any]:
        """Return what has come up since the last call, without waiting.

        Raises:
            EOFError: The child is dead, and all that it had said was returned before.
        """
        self._listen_to_words()
        alive = self._process.is_alive()
        messages: list[Any] = []
        try:
            while self._pipe.poll():
                messages.append(self._pipe.recv())
        except (EOFError, OSError):
            alive = False
        if not alive and not messages:
            raise EOFError
        return messages

    def cause_of_death(self) -> str:
        """Say how a dead child died, with what it had written last."""
        self._process.join(5)
        self._listen_to_words()
        code = self._process.exitcode
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        words = self._words.decode(errors="replace").strip()
        return how + (f"\n{words}" if words else "")

    def hang_up(self) -> None:
        """Let the process end by itself, which it does at once."""
        self._pipe.close()

    def kill(self) -> None:
        """End the process, whatever it is doing; `close` waits for that."""
        self._process.kill()

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

    def _listen_to_words(self) -> None:
        while not self._words_pipe.closed and self._words_pipe.poll():
            data = os.read(self._words_pipe.fileno(), 65536)
            if not data:
                self._words_pipe.close()
            self._words = (self._words + data)[-_LAST_WORDS_BYTES:]


def begin_child(last_words: Connection, visible_devices: str | None) -> None:
    """Be quiet, leave Ctrl-C to the parent, and see only some CUDA devices.

    Args:
        last_words: Takes what would spoil the parent's terminal: warnings, messages of a crash.
        visible_devices: As CUDA_VISIBLE_DEVICES names them; None leaves them as they are.
    """
    # Ctrl-C reaches the whole group of the terminal, and is the conductor's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(last_words.fileno(), 1)
    os.dup2(last_words.fileno(), 2)
    warnings.simplefilter("ignore")
    if visible_devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_devices
    # Else multiprocessing would not let it have children: a worker has, where several devices train together.
    multiprocessing.current_process().daemon = False


def listen(pipe: Connection, take: Callable[[Any], None]) -> None:
    """Hand what comes down the pipe to `take`, in a thread, and end this process with the pipe."""
    threading.Thread(target=_listen, args=(pipe, take), daemon=True).start()


def _listen(pipe: Connection, take: Callable[[Any], None]) -> None:
    try:
        while True:
            take(pipe.recv())
    finally:
        # The parent let go or is dead, and nobody waits for what is being done here.
        os._exit(0)
