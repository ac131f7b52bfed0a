"""What `archsearch run` shows while it runs: a live view on a terminal, a line for each trial elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console
from rich.text import Text

from archsearch.cli.footer import Footer
from archsearch.cli.progress_lines import say_forecast, say_training, write_ending
from archsearch.cli.progress_view import choose_marks, draw, draw_waiting
from archsearch.journal import Record
from archsearch.study import StudyConfig

if TYPE_CHECKING:
    from archsearch.application.progress import Follower, Snapshot

_REFRESH_S = 0.4
# A look at a long study takes a while: at most this share of the time is spent on looking.
_SHARE = 0.01
# Where nothing is drawn, so long a silence is broken by a line.
_SILENCE_S = 300.0


class Progress:
    """Shows how a study goes; a context manager that leaves the terminal as it was.

    Args:
        study: The study.
        stream: Where to.
    """

    def __init__(self, study: StudyConfig, stream: TextIO) -> None:
        self._study = study
        self._console = Console(file=stream, highlight=False)
        # FORCE_COLOR makes rich take a pipe for a terminal.
        live = stream.isatty() and self._console.is_interactive
        self._footer = Footer(self._console) if live else None
        self._started = self._spoken = time.monotonic()
        self._doing = "getting ready"
        self._follower: Follower | None = None
        self._snapshot: Snapshot | None = None
        self._look_again = 0.0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._painter = threading.Thread(target=self._paint, daemon=True, name="progress")

    def __enter__(self) -> Self:
        if self._footer is not None:
            self._footer.__enter__()
            self._painter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._footer is not None:
            self._painter.join()
            self._footer.__exit__()

    def say(self, text: str) -> None:
        """Print a sentence."""
        self._print(Text(text))

    def recall(self, records: Sequence[Record]) -> None:
        """Take into account what the journal holds already."""
        # It counts networks, for which it needs torch.
        from archsearch.application.progress import Follower
        from archsearch.application.progress.workload import Workload

        follower = Follower(self._study, Workload(self._study, records[0].fields["train_images"]))
        for record in records:
            follower.hear(record)
        self._follower = follower

    def hear(self, record: Record) -> None:
        """Take a new record into account, and print what it tells a person, if anything."""
        assert self._follower is not None
        with self._lock:
            self._follower.hear(record)
        fields = record.fields
        if record.kind == "session":
            self.say(f"{fields['slots']} at a time ({fields['executor']}, {fields['device']})")
            with self._lock:
                self._follower.look_ahead()
            self._doing = ""
        elif record.kind == "told":
            self._tell(record)
        elif record.kind == "replicate" and fields["outcome"] == "lost":
            self.say(
                f"         trial {fields['trial']} seed {fields['seed']}: {fields['reason']}; tried again"
            )
        elif record.kind == "epoch" and self._footer is None:
            self._break_silence(record)
        elif record.kind in ("finished", "interrupted"):
            self._doing = "stopping" if record.kind == "interrupted" else "waiting for MLflow"

    def _tell(self, record: Record) -> None:
        assert self._follower is not None
        name = self._follower.trials[record.fields["trial"]].name
        width = self._console.width if self._footer else None
        forecast = "" if self._footer else say_forecast(self._look().forecast)
        self._print(write_ending(record.fields, name, self._elapsed_s, width=width, forecast=forecast))

    def _break_silence(self, record: Record) -> None:
        if time.monotonic() - self._spoken < _SILENCE_S:
            return
        assert self._follower is not None
        trial = self._follower.trials[record.fields["trial"]]
        forecast = say_forecast(self._look().forecast)
        self._print(say_training(record.fields, trial, self._elapsed_s, forecast=forecast))

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def _print(self, text: Text) -> None:
        self._spoken = time.monotonic()
        if self._footer is not None:
            self._footer.print(text)
        else:
            self._console.print(text, soft_wrap=True)

    def _look(self) -> Snapshot:
        """How far the study is; what was seen last, where looking again would take too large a share."""
        assert self._follower is not None
        with self._lock:
            if self._snapshot is None or time.monotonic() >= self._look_again:
                before = time.thread_time()
                self._snapshot = self._follower.look(time.time())
                self._look_again = time.monotonic() + (time.thread_time() - before) / _SHARE
            return self._snapshot

    def _paint(self) -> None:
        """Draw again and again, in a thread."""
        assert self._footer is not None
        pause_s, marks = 0.0, choose_marks(self._console)
        while not self._ended.wait(pause_s):
            before = time.thread_time()
            console, elapsed_s = self._console, self._elapsed_s
            if self._doing or self._follower is None:
                lines = draw_waiting(self._study.name, self._doing, elapsed_s)
            else:
                lines = draw(
                    self._look(),
                    self._follower.trials,
                    self._study,
                    elapsed_s=elapsed_s,
                    size=console.size,
                    marks=marks,
                )
            self._footer.show(lines)
            pause_s = max(_REFRESH_S, (time.thread_time() - before) / _SHARE)
