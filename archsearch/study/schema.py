"""StudyConfig: a study as validated, frozen values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from archsearch.study.cells import Cell, build_cells
from archsearch.study.dimensions import Dimension
from archsearch.study.growth import build_identity
from archsearch.study.public_text import publish_text
from archsearch.study.settings import BudgetSettings, ExecutionSettings, TrackingSettings
from archsearch.study.space import Space, TrialSpec

Direction = Literal["maximize", "minimize"]
Matched = Literal["parameters", "macs"]


@dataclass(frozen=True)
class Bounds:
    """What a quantity may be, ends included."""

    min: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class Choice:
    """A sampler, pruner or scheduler by its name, with its options."""

    name: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Match:
    """A budget that the width of each network is solved for: a number, or that `of` a published network."""

    quantity: Matched
    target: int | None = None
    of: str | None = None


@dataclass(frozen=True)
class Prefilter:
    """The share of the networks of a search that is worth training: those with the highest scores."""

    score: str
    keep: float


SMALLEST_DIFFERENCE = 0.01
"""Differences of error below this one matter to nobody, unless a study says otherwise; a fraction."""


@dataclass(frozen=True)
class StudyConfig:
    """One question, its data, its budget, its seeds.

    Attributes:
        name: Also the name of its run folder.
        seed: The study's seed; a search trains under it.
        base: Fixed values by the path of their leaf: ``architecture.width``.
        sweep: Dimensions that make cells.
        search: Dimensions sampled in each cell; each stands behind those its conditions name.
        trials: Trials of each cell's search; None without a search, and where its budget alone ends it.
        seeds: Seeds of each cell's trial, or with a search of its confirmation (none where empty).
        more_seeds: Seeds added one by one where a curve is undecided, in this order; mostly none.
        smallest_difference: The smallest difference of error that matters, a fraction.
        objectives: Direction by name, in the order written.
        constraints: Bounds by quantity, checked before training.
        prefilter: Train only what a predictor holds for promising; None trains all that is feasible.
        predictors: Whether finished networks are scored by all predictors, for the report to judge them.
        match: Solve the width for a budget; None takes the width as given.
        include: Published networks that are trained first.
        warm_start: Studies that were run, of which a search begins with what they found.
        plugins: Packages whose blocks, data sources and metrics are loaded.
        text: The study as read; parsing it again gives an equal study.
        source: Name of the file, for messages.
    """

    name: str
    seed: int
    base: Mapping[str, Any]
    sweep: tuple[Dimension, ...]
    search: tuple[Dimension, ...]
    trials: int | None
    seeds: tuple[int, ...]
    more_seeds: tuple[int, ...]
    smallest_difference: float
    objectives: Mapping[str, Direction]
    constraints: Mapping[str, Bounds]
    sampler: Choice
    pruner: Choice
    scheduler: Choice
    prefilter: Prefilter | None
    predictors: bool
    match: Match | None
    budget: BudgetSettings
    include: tuple[str, ...]
    warm_start: tuple[str, ...]
    plugins: tuple[str, ...]
    execution: ExecutionSettings
    tracking: TrackingSettings
    text: str
    source: str

    @cached_property
    def public_text(self) -> str:
        """The text without the passwords of its URIs: what may be kept and shown."""
        return publish_text(self.text, self.source)

    @cached_property
    def space(self) -> Space:
        """What is fixed, swept and searched."""
        return Space(self.base, self.sweep, self.search)

    def cells(self) -> tuple[Cell, ...]:
        """The combinations of the swept values; one without a sweep."""
        return self._cells

    @cached_property
    def _cells(self) -> tuple[Cell, ...]:
        return build_cells(self.space)

    def resolve(self, values: Mapping[str, Any]) -> TrialSpec:
        """Complete a cell's values, and those sampled in it, to what is built and trained.

        Args:
            values: By the path of their leaf.

        Raises:
            ArchitectureError: No such network can be built.
            StudyError: The settings contradict each other.
        """
        return self.space.resolve(values)

    @property
    def search_seed(self) -> int:
        """The seed under which a search trains."""
        return self.seed

    @property
    def confirmation_seeds(self) -> tuple[int, ...]:
        """The seeds under which the best settings of a finished search are trained again."""
        return self.seeds if self.search else ()

    def identity(self) -> dict[str, Any]:
        """What must not change while a study grows, in JSON's values; swept values may be added."""
        return build_identity(self)
