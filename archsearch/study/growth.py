"""Growth: what a study that has run may add, and what would make it another study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from archsearch.errors import StudyError
from archsearch.study.dimensions import Dimension
from archsearch.study.settings import ONE_FIELD, DataSettings, Settings, TrainingSettings
from archsearch.study.yaml_reading import read_yaml

if TYPE_CHECKING:
    from archsearch.study.schema import StudyConfig

IDENTITY_VERSION = 1


def build_identity(study: StudyConfig) -> dict[str, Any]:
    """What must not change while a study grows, in JSON's values.

    Left out: trials, seeds, budget, included baselines, plugins, execution, tracking. Settings at their
    defaults are left out too, so that writing one down changes nothing.
    """
    architecture = {
        path.partition(".")[2]: value
        for path, value in study.base.items()
        if path.startswith("architecture.")
    }
    identity = {
        "version": IDENTITY_VERSION,
        "seed": study.seed,
        "data": _changed(DataSettings, study.base, "data"),
        "architecture": architecture,
        "training": _changed(TrainingSettings, study.base, "training"),
        "sweep": {dimension.label: dimension.to_mapping() for dimension in study.sweep},
        "search": {dimension.label: dimension.to_mapping() for dimension in study.search},
        "objectives": [list(item) for item in study.objectives.items()],
        "constraints": {name: [span.min, span.max] for name, span in study.constraints.items()},
        "sampler": {"name": study.sampler.name, **study.sampler.options},
        "pruner": {"name": study.pruner.name, **study.pruner.options},
        "scheduler": _describe_scheduler(study),
        "prefilter": None if study.prefilter is None else asdict(study.prefilter),
        "match": None if study.match is None else [study.match.quantity, study.match.target, study.match.of],
        # Journals written before there was this lack it, and read as None.
        "warm_start": list(study.warm_start) or None,
    }
    # As it will come back from the journal: tuples are lists.
    restored: dict[str, Any] = json.loads(json.dumps(identity))
    return restored


def _describe_scheduler(study: StudyConfig) -> dict[str, Any] | None:
    # none of it in what ran before there were any
    choice = study.scheduler
    return None if choice.name == "none" else {"name": choice.name, **choice.options}


def check_growth(old_identity: Mapping[str, Any], new: StudyConfig) -> None:
    """Let a study add trials, seeds, budget and swept values, and refuse any other change.

    Args:
        old_identity: `StudyConfig.identity` of the study as it first ran.
        new: The study as it is now.

    Raises:
        StudyError: The first difference, at its line; asks for a new name.
    """
    identity = new.identity()
    for key in identity:
        old, now = old_identity.get(key), identity[key]
        if old == now or (key == "sweep" and _grown(old or {}, now)):
            continue
        name, before, after = _first_difference(old, now)
        document = read_yaml(new.text, new.source)
        place = (key, name) if name else (key,)
        before_text = "was not there" if before is None else f"was {_compact(before)}"
        raise StudyError(
            f"must stay as it was when this study first ran: it {before_text}",
            path=".".join(place),
            got="nothing" if after is None else after,
            fix=f"Another {_NAMES.get(key, key)} asks for a new name: change `name`, or undo the change.",
            where=document.where(place if name in _keys(document.value.get(key)) else (key,)),
        )


_NAMES = {
    "sweep": "swept field",
    "search": "search space",
    "objectives": "objective",
    "constraints": "constraint",
    "training": "training setting",
}


def _changed(model: type[Settings], base: Mapping[str, Any], group: str) -> dict[str, Any]:
    given = {path.partition(".")[2]: value for path, value in base.items() if path.partition(".")[0] == group}
    settings = model.model_validate(given, context=ONE_FIELD)
    return settings.model_dump(mode="json", exclude_defaults=True)


def _grown(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the same fields are swept under the same conditions, and every old value is still there."""
    return old.keys() == new.keys() and all(
        old[name]["when"] == new[name]["when"]
        and all(value in _swept_values(new[name]) for value in _swept_values(old[name]))
        for name in old
    )


def _swept_values(dimension: Mapping[str, Any]) -> list[Any]:
    if "choice" in dimension:
        return list(dimension["choice"])
    whole = isinstance(dimension["low"], int)
    span = {key: dimension[key] for key in ("low", "high", "log", "step")}
    return list(Dimension("", "integer" if whole else "number", **span).values())


def _first_difference(old: Any, new: Any) -> tuple[str, Any, Any]:
    """Name (empty for a whole), old and new value of what differs first."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in (*new, *old):
            if old.get(name) != new.get(name):
                return name, old.get(name), new.get(name)
    return "", old, new


def _keys(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, dict) else ()


def _compact(value: Any) -> str:
    return json.dumps(value).replace('"', "")
