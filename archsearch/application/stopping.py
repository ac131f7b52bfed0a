"""How a run is asked to stop: Ctrl-C, Ctrl-C again, SIGTERM."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

from archsearch.errors import Terminated

_WINDING_DOWN = (
    "Stopping: what is being trained is finished, and nothing else started. Press Ctrl-C again to stop now."
)


class Stopping:
    """Answers signals while it is entered, in a process's main thread; elsewhere it does nothing.

    While trainings run (`finishing`), the first SIGINT asks to wind down: they are finished, and no others
    started. A second one, or one at another time, raises KeyboardInterrupt; SIGTERM always raises Terminated.

    Args:
        say: Tells a person; called in a thread, for a signal may come in the middle of a line.

    Attributes:
        winding_down: Whether nothing is to be started any more.
    """

    def __init__(self, say: Callable[[str], None] = lambda _: None) -> None:
        self.winding_down = False
        self._finishing = False
        self._before: dict[signal.Signals, Any] = {}
        # of all queues the one that a signal may interrupt
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._speaker = threading.Thread(target=self._speak, args=(say,), daemon=True, name="stopping")

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._speaker.start()
            answers = {signal.SIGINT: self._interrupt, signal.SIGTERM: self._terminate}
            self._before = {number: signal.signal(number, answer) for number, answer in answers.items()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, answer in self._before.items():
            signal.signal(number, answer)
        if self._before:
            self._words.put("")
            self._speaker.join()

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Mark the time in which trainings run, and may be finished."""
        self._finishing = True
        try:
            yield
        finally:
            self._finishing = False

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.winding_down or not self._finishing:
            raise KeyboardInterrupt
        self.winding_down = True
        self._words.put(_WINDING_DOWN)

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        raise Terminated

    def _speak(self, say: Callable[[str], None]) -> None:
        while words := self._words.get():
            say(words)
