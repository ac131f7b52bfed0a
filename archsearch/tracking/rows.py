"""What should stand in MLflow, derived from the journal record by record; knows nothing of MLflow's client.

Rows depend on the records alone, never on when they were read: so a mirror that followed the study, one that
was killed in the middle, and one that reads the finished journal all write the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["RUNNING", "FINISHED", "KILLED", "FAILED"]

# MLflow refuses longer ones.
_MAX_PARAM = 6000
_MAX_TAG = 8000
# As long as `archsearch show` writes it.
_DIGEST = 12


@dataclass(frozen=True)
class RunKey:
    """Which run: the study's, a trial's, or that of a replicate below a trial with several seeds."""

    kind: Literal["study", "trial", "replicate"]
    trial: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class DataVersion:
    """The images, labels and split that a run saw.

    Attributes:
        name: Of the source.
        digest: Beginning of the fingerprint of the images, labels and split.
        source: The settings that give them, in JSON.
    """

    name: str
    digest: str
    source: str

    @classmethod
    def of(cls, data: Mapping[str, Any], fingerprint: str) -> DataVersion:
        """That of a trial's data."""
        known = {name: value for name, value in data.items() if value != ""}
        return cls(str(data["name"]), fingerprint[:_DIGEST], json.dumps(known, ensure_ascii=False))


@dataclass(frozen=True)
class Point:
    """One value of a metric."""

    name: str
    value: float
    time_ms: int
    step: int


@dataclass
class Row:
    """One run as it should stand in MLflow.

    Attributes:
        parent: Key of the run above it.
        params: Values that never change.
        points: Those that were not yet written.
        data: What was trained on.
        line: Number of the last record that changed this run.
    """

    key: RunKey
    parent: RunKey | None
    name: str
    start_ms: int
    line: int
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    data: list[DataVersion] = field(default_factory=list)
    status: Status = "RUNNING"
    end_ms: int | None = None
    _latest: dict[str, float] = field(default_factory=dict)

    def add_points(self, metrics: Mapping[str, Any], time_s: float, step: int) -> None:
        """Add one value of each metric that is a number."""
        for name, value in metrics.items():
            if isinstance(value, int | float):
                name = safe_name(name)
                self.points.append(Point(name, float(value), to_ms(time_s), step))
                self._latest[name] = float(value)

    def add_end_points(self, metrics: Mapping[str, Any], time_s: float, step: int) -> None:
        """Add the values at the end, but for those on which their curve ends anyway."""
        # A mean taken in another order differs in its last bits.
        news = {
            name: value
            for name, value in metrics.items()
            if not (isinstance(value, int | float) and math.isclose(self._latest.get(name, math.nan), value))
        }
        self.add_points(news, time_s, step)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; None and empty texts are left out."""
        self.tags.update(texts(tags, _MAX_TAG))

    def reopen(self) -> None:
        """Take back what was said at its end; MLflow keeps the points."""
        self.status, self.end_ms = "RUNNING", None
        for tag in ("archsearch.outcome", "archsearch.reason", "archsearch.repeated_of"):
            self.tags.pop(tag, None)

    def end(self, status: Status, time_s: float) -> None:
        """Close the run."""
        self.status, self.end_ms = status, to_ms(time_s)


def flatten_params(
    architecture: Mapping[str, Any], training: Mapping[str, Any], data: Mapping[str, Any]
) -> dict[str, str]:
    """Return params: architecture fields by their bare names, the others dotted."""
    fields = dict(architecture)
    fields.update({f"training.{name}": value for name, value in training.items()})
    fields.update({f"data.{name}": value for name, value in data.items()})
    return texts(fields, _MAX_PARAM)


def texts(values: Mapping[str, Any], limit: int) -> dict[str, str]:
    """Return values as MLflow keeps them: texts as they are, others in JSON, cut at `limit`."""
    shown = {
        safe_name(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
        if value is not None and value != ""
    }
    return {name: text if len(text) <= limit else text[: limit - 1] + "…" for name, text in shown.items()}


def cell_label(cell: Mapping[str, Any]) -> str:
    """Return a cell in words: ``block=plain depth=20``."""
    return " ".join(f"{path.removeprefix('architecture.')}={value}" for path, value in cell.items())


def mean_metrics(metrics: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the mean of each metric that all of some mappings hold as a number."""
    return {name: sum(values) / len(values) for name, values in _columns(metrics).items()}


def deviations(metrics: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return ``<name>_std``, the sample standard deviation, of each metric; nothing for a single mapping."""
    columns = {name: values for name, values in _columns(metrics).items() if len(values) > 1}
    means = {name: sum(values) / len(values) for name, values in columns.items()}
    return {
        f"{name}_std": (sum((value - means[name]) ** 2 for value in values) / (len(values) - 1)) ** 0.5
        for name, values in columns.items()
    }


def safe_name(name: str) -> str:
    """Return a name without what MLflow refuses in one: a plugin's metric may be called anything."""
    return re.sub(r"[^\w./ :-]", "_", name, flags=re.ASCII)[:250]


def to_ms(time_s: float) -> int:
    """Return a time in the unit that MLflow keeps."""
    return round(time_s * 1000)


def _columns(metrics: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    rows = list(metrics)
    shared = (
        [name for name in rows[0] if all(isinstance(row.get(name), int | float) for row in rows)]
        if rows
        else []
    )
    return {name: [float(row[name]) for row in rows] for name in shared}
