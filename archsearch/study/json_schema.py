"""JSON Schema of the study file, for completion and checking in editors.

Built from the field tables themselves, so that a new field or setting appears without a word here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archsearch.architecture import published_names
from archsearch.study.leaves import Leaf, known_leaves, settings_leaves
from archsearch.study.schema import SMALLEST_DIFFERENCE
from archsearch.study.settings import BudgetSettings, ExecutionSettings, Settings, TrackingSettings
from archsearch.study.vocabulary import (
    CONSTRAINTS,
    DIRECTIONS,
    MATCHED,
    OBJECTIVES,
    PREDICTORS,
    PRUNERS,
    SAMPLERS,
    SCHEDULERS,
    STUDY_KEYS,
)

Schema = dict[str, Any]

_COUNT: Schema = {"type": "integer", "minimum": 1}


def study_schema() -> Schema:
    """JSON Schema (2020-12) of the study file; blocks of loaded plugins are among its values."""
    leaves = known_leaves()
    groups = {
        group: _closed({leaf.name: _documented(leaf) for leaf in leaves.values() if leaf.group == group})
        for group in ("architecture", "training", "data")
    }
    properties: dict[str, Schema] = {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"},
        "seed": {"type": "integer", "minimum": 0, "default": 0},
        "data": {"anyOf": [{"type": "string"}, groups["data"]]},
        "architecture": {"anyOf": [_published(), groups["architecture"]]},
        "sweep": _dimensions(leaves.values()),
        "search": _dimensions(leaves.values()),
        "trials": _COUNT,
        "seeds": _seeds(),
        "smallest_difference": {
            "type": "number",
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 1,
            "default": SMALLEST_DIFFERENCE,
        },
        "objectives": _objectives(),
        "constraints": _closed(dict.fromkeys(CONSTRAINTS, _bounds())),
        "sampler": _choice(SAMPLERS),
        "pruner": _choice(PRUNERS),
        "scheduler": _choice(SCHEDULERS),
        "prefilter": _prefilter(),
        "predictors": {"type": "boolean"},
        "match": _match(),
        "training": groups["training"],
        "budget": _settings(BudgetSettings, "budget"),
        "include": {"type": "array", "items": _published(), "uniqueItems": True},
        "warm_start": {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
            ]
        },
        "plugins": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "execution": _settings(ExecutionSettings, "execution"),
        "tracking": _settings(TrackingSettings, "tracking"),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "archsearch study",
        **_closed({key: {"description": doc, **properties[key]} for key, doc in STUDY_KEYS.items()}),
        "required": ["name"],
        "$defs": {
            "when": {
                "type": "object",
                "minProperties": 1,
                "description": "Values that other fields must have for this one to be asked for.",
            }
        },
    }


def _closed(properties: Mapping[str, Any]) -> Schema:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _documented(leaf: Leaf) -> Schema:
    return {"description": leaf.doc, **leaf.schema}


def _settings(model: type[Settings], group: str) -> Schema:
    return _closed({leaf.name: _documented(leaf) for leaf in settings_leaves(model, group).values()})


def _dimensions(leaves: Iterable[Leaf]) -> Schema:
    known = {leaf.label: {"description": leaf.doc, **_dimension(leaf)} for leaf in leaves}
    return _closed(known)


def _dimension(leaf: Leaf) -> Schema:
    value = {key: part for key, part in leaf.schema.items() if key != "default"}
    values = {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}
    when = {"when": {"$ref": "#/$defs/when"}}
    forms: list[Schema] = [values, {**_closed({"choice": values, **when}), "required": ["choice"]}]
    if leaf.schema.get("type") in ("integer", "number"):
        span = {"low": value, "high": value, "log": {"type": "boolean"}}
        step = {"step": {"type": leaf.schema["type"], "exclusiveMinimum": 0}}
        forms.append({**_closed({**span, **step, **when}), "required": ["low", "high"]})
    return {"anyOf": forms}


def _published() -> Schema:
    return {"type": "string", "enum": list(published_names())}


def _objectives() -> Schema:
    direction = {"enum": list(DIRECTIONS)}
    return {
        **_closed(dict.fromkeys(OBJECTIVES, direction)),
        "patternProperties": {"^val_": direction},
        "minProperties": 1,
    }


def _seeds() -> Schema:
    listed = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    count = {"type": "integer", "minimum": 2}
    span = {**_closed({"min": count, "max": count}), "required": ["min", "max"]}
    return {"anyOf": [_COUNT, listed, span]}


def _bounds() -> Schema:
    bound = {"type": "number", "minimum": 0}
    return {**_closed({"min": bound, "max": bound}), "minProperties": 1}


def _choice(known: Mapping[str, Mapping[str, Any]]) -> Schema:
    mappings = [
        {**_closed({"name": {"const": name}, **options}), "required": ["name"]}
        for name, options in known.items()
    ]
    return {"anyOf": [{"enum": list(known)}, *mappings]}


def _prefilter() -> Schema:
    keep = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    both = _closed({"score": {"enum": list(PREDICTORS)}, "keep": keep})
    return {**both, "required": ["score", "keep"]}


def _match() -> Schema:
    of = {**_closed({"of": _published()}), "required": ["of"]}
    target = {"anyOf": [_COUNT, of]}
    return {**_closed(dict.fromkeys(MATCHED, target)), "minProperties": 1, "maxProperties": 1}
