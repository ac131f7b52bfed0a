"""Where the wall-clock time of a run goes."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any, Self


class Shares:
    """Context manager that adds up the time spent inside some functions, which must not call each other.

    Attributes:
        wall_s: Seconds between `start` and `stop`.
        processor_s: Processor seconds of this process meanwhile.
    """

    def __init__(self) -> None:
        self.wall_s = self.processor_s = 0.0
        self._watched: list[tuple[Any, str, str, Any]] = []
        self._seconds: dict[str, float] = defaultdict(float)
        self._counted: dict[str, float] = {}
        self._begun: tuple[float, float] | None = None

    def watch(self, owner: Any, name: str, label: str) -> None:
        """Count the time inside a function of a module or class under a label, while this is entered."""
        self._watched.append((owner, name, label, getattr(owner, name)))

    def start(self) -> None:
        """Begin."""
        self._seconds.clear()
        self._begun = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """End."""
        assert self._begun, "it was not started, or has been stopped"
        self.wall_s = time.perf_counter() - self._begun[0]
        self.processor_s = time.process_time() - self._begun[1]
        self._counted, self._begun = dict(self._seconds), None

    def of_wall(self, rest: str) -> dict[str, float]:
        """Return the share of each label, and the rest of the time under a label of its own."""
        labels = dict.fromkeys(label for _, _, label, _ in self._watched)
        shares = {label: self._counted.get(label, 0.0) / self.wall_s for label in labels}
        return {**shares, rest: 1 - sum(shares.values())}

    def __enter__(self) -> Self:
        for owner, name, label, original in self._watched:
            setattr(owner, name, self._timed(original, label))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, _, original in self._watched:
            setattr(owner, name, original)

    def _timed(self, function: Any, label: str) -> Any:
        def timed(*args: Any, **kwargs: Any) -> Any:
            before = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._seconds[label] += time.perf_counter() - before

        return timed
