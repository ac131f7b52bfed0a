"""The space of a study: what is fixed, swept and searched, and what a set of values stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from archsearch.architecture import Architecture, dropped_fields, nearest_depths, resolve_architecture
from archsearch.errors import StudyError
from archsearch.study.dimensions import Dimension
from archsearch.study.settings import DataSettings, Settings, TrainingSettings
from archsearch.study.wording import describe_rule

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class TrialSpec:
    """What is built and how it is trained.

    Attributes:
        architecture: The network.
        training: How it is trained.
        data: On what.
        requested_depth: The depth asked for, where this kind of block has no such depth; else None.
        dropped: Architecture fields that were given but that this network does not use.
    """

    architecture: Architecture
    training: TrainingSettings
    data: DataSettings
    requested_depth: int | None
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Space:
    """Fixed values and dimensions.

    Attributes:
        base: Fixed values by the path of their leaf.
        sweep: Dimensions that make cells; each stands behind those its conditions name.
        search: Dimensions that are sampled in each cell, in such an order too.
    """

    base: Mapping[str, Any]
    sweep: tuple[Dimension, ...]
    search: tuple[Dimension, ...]

    def fixed_settings(self) -> tuple[TrainingSettings, DataSettings]:
        """Training and data as fixed, with defaults for what is swept or searched: those of a baseline.

        Raises:
            StudyError: The settings contradict each other.
        """
        fixed: dict[str, dict[str, Any]] = {"training": {}, "data": {}}
        for path, value in self.base.items():
            group, _, name = path.partition(".")
            fixed.get(group, {})[name] = value
        training = build_settings(TrainingSettings, fixed["training"], "training")
        return training, build_settings(DataSettings, fixed["data"], "data")

    def resolve(self, values: Mapping[str, Any]) -> TrialSpec:
        """Complete swept and sampled values to what is built and trained.

        Args:
            values: By the path of their leaf.

        Raises:
            ArchitectureError: No such network can be built.
            StudyError: The settings contradict each other.
        """
        groups: dict[str, dict[str, Any]] = {"architecture": {}, "training": {}, "data": {}}
        for path, value in {**self.base, **values}.items():
            group, _, name = path.partition(".")
            if group not in groups:
                raise StudyError("is no field of architecture, training or data", path=path)
            groups[group][name] = value
        dropped = tuple(dropped_fields(groups["architecture"]))
        kept = {name: value for name, value in groups["architecture"].items() if name not in dropped}
        requested_depth = None
        if "depth" in kept and (nearest := nearest_depths(kept)) and nearest[0] != kept["depth"]:
            requested_depth, kept["depth"] = kept["depth"], nearest[0]
        return TrialSpec(
            architecture=resolve_architecture(kept),
            training=build_settings(TrainingSettings, groups["training"], "training"),
            data=build_settings(DataSettings, groups["data"], "data"),
            requested_depth=requested_depth,
            dropped=dropped,
        )


def build_settings(model: type[S], values: Mapping[str, Any], path: str) -> S:
    """Build settings from checked values.

    Raises:
        StudyError: They contradict each other, or one is not what its field holds.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        fault = error.errors()[0]
        names = ".".join([path, *(str(step) for step in fault["loc"][:1])])
        if fault["type"] == "value_error":
            raise StudyError(str(fault["ctx"]["error"]), path=names) from error
        properties = model.model_json_schema()["properties"]
        rule = describe_rule(properties.get(fault["loc"][0], {"type": "object"}))
        raise StudyError(rule, path=names, got=fault["input"]) from error
