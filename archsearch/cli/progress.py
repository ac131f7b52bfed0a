"""What `archsearch run` prints while it runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console

from archsearch.journal import Record


class Progress:
    """Prints a line for each trial that ends.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._names: dict[int, str] = {}
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """Print a sentence."""
        self._console.print(text, soft_wrap=True, markup=False)

    def hear(self, record: Record) -> None:
        """Print what a record tells a person, if anything."""
        fields = record.fields
        if record.kind == "session":
            self.say(f"{fields['slots']} at a time ({fields['executor']}, {fields['device']})")
        elif record.kind == "trial":
            self._names[fields["trial"]] = fields["name"]
        elif record.kind == "told":
            self._tell(fields)
        elif record.kind == "replicate" and fields["outcome"] == "lost":
            self.say(
                f"         trial {fields['trial']} seed {fields['seed']}: {fields['reason']}; tried again"
            )

    def _tell(self, fields: Mapping[str, Any]) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        clock = f"{minutes:3}:{seconds:02}"
        name = f"{self._names.get(fields['trial'], ''):<34}"
        outcome = fields["outcome"]
        said = outcome if outcome == "complete" else f"{outcome}: {fields['reason']}"
        if outcome == "repeated":
            said = f"the same as trial {fields['repeated_of']}"
        metrics = fields["metrics"]
        if "val_error" in metrics and outcome == "complete":
            said = (
                f"validation error {metrics['val_error']:7.2%}   training error {metrics['train_error']:7.2%}"
            )
        self.say(f"{clock}  trial {fields['trial']:>3}  {name}  {said.rstrip(': ')}")
