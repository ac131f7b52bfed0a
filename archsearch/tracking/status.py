"""What the mirror process tells the application: one line of JSON each time something changes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["following", "waiting", "done", "gave up"]


@dataclass(frozen=True)
class MirrorStatus:
    """How far the mirror is.

    Attributes:
        state: following; waiting (MLflow cannot be reached, and is tried again); done; gave up.
        experiment_id: Of the study in MLflow; empty before it is known.
        experiment: Its name: the study's, or that with a suffix where another study had taken it.
        runs: Runs of the study that stand in MLflow.
        lag: Records of the journal that do not stand in MLflow yet.
        error: Why it waits or gave up; holds no password.
    """

    state: State = "following"
    experiment_id: str = ""
    experiment: str = ""
    runs: int = 0
    lag: int = 0
    error: str = ""

    def to_line(self) -> str:
        """Return the line for the pipe."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> MirrorStatus:
        """Read a line of the pipe."""
        return cls(**json.loads(line))
