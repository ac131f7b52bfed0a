"""Leaves: the single values of a study that may be fixed, swept or searched.

Architecture's come from its field table, training's and data's from their settings, so that a new field is
a leaf without a word here. A leaf's JSON Schema serves editors and error messages alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import getdoc
from typing import Any

from pydantic import ValidationError

from archsearch.architecture import FIELDS, Field
from archsearch.errors import ArchitectureError, StudyError
from archsearch.study.settings import ONE_FIELD, DataSettings, Settings, TrainingSettings
from archsearch.study.wording import Schema, describe_rule, suggest_name

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


@dataclass(frozen=True)
class Leaf:
    """A value that a study may fix, sweep or search.

    Attributes:
        path: ``architecture.depth``, ``training.learning_rate``.
        schema: JSON Schema of one value.
        doc: What it means.
    """

    path: str
    schema: Schema
    doc: str
    _check: Callable[[Any], Any]

    @property
    def label(self) -> str:
        """As a study writes it: a bare name for architecture, dotted otherwise."""
        return self.path.removeprefix("architecture.")

    @property
    def group(self) -> str:
        """``architecture``, ``training`` or ``data``."""
        return self.path.partition(".")[0]

    @property
    def name(self) -> str:
        """The name inside the group."""
        return self.path.partition(".")[2]

    def check(self, value: Any) -> Any:
        """The value in its canonical form (lists become tuples).

        Raises:
            StudyError: Not a value of this leaf; the place is left to the caller.
        """
        return self._check(value)


def known_leaves() -> dict[str, Leaf]:
    """Every leaf by its path, blocks of loaded plugins included."""
    fields = {f"architecture.{name}": _field_leaf(field) for name, field in FIELDS.items()}
    return fields | settings_leaves(TrainingSettings, "training") | settings_leaves(DataSettings, "data")


@cache
def settings_leaves(model: type[Settings], group: str) -> dict[str, Leaf]:
    """The fields of a settings class as leaves, by their paths."""
    docs = read_attribute_docs(model)
    leaves = {}
    for name, schema in model.model_json_schema()["properties"].items():
        shown = {key: value for key, value in schema.items() if key != "title"}
        path = f"{group}.{name}"
        leaves[path] = Leaf(path, shown, docs[name], _settings_check(model, name, shown))
    return leaves


def find_leaf(name: str, leaves: Mapping[str, Leaf]) -> Leaf:
    """The leaf of a name as written: bare for an architecture field, dotted otherwise.

    Raises:
        StudyError: No such leaf; says which was probably meant.
    """
    leaf = leaves.get(f"architecture.{name}") or leaves.get(name)
    if leaf is not None:
        return leaf
    tails = [path for path in leaves if path.endswith(f".{name}")]
    labels = [leaf.label for leaf in leaves.values()]
    fix = f"Write {' or '.join(tails)}." if tails else suggest_name(name, labels)
    raise StudyError("is no field of architecture, training or data", fix=fix)


def read_attribute_docs(model: type[Settings]) -> dict[str, str]:
    """What the ``Attributes:`` section of a settings class says of each field."""
    return {name: " ".join(doc.split()) for name, doc in _ATTRIBUTE.findall(getdoc(model) or "")}


def _settings_check(model: type[Settings], name: str, schema: Schema) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        try:
            return getattr(model.model_validate({name: value}, context=ONE_FIELD), name)
        except ValidationError as error:
            own = [fault["ctx"]["error"] for fault in error.errors() if fault["type"] == "value_error"]
            raise _refusal(schema, value, rule=str(own[0]) if own else "") from error

    return check


def _field_leaf(field: Field) -> Leaf:
    schema = _field_schema(field)

    def check(value: Any) -> Any:
        try:
            return field.check(value)
        except ArchitectureError as error:
            raise _refusal(schema, value) from error

    return Leaf(f"architecture.{field.name}", schema, field.doc, check)


def _field_schema(field: Field) -> Schema:
    if field.kind == "choice":
        return {"enum": list(field.choices)}
    number: dict[str, Any] = {"type": "number" if field.kind == "number" else "integer"}
    bounds = {"minimum": field.minimum, "maximum": field.maximum}
    number |= {key: bound for key, bound in bounds.items() if bound is not None}
    if field.kind == "integers":
        return {"type": "array", "items": number, "minItems": 1}
    return {"type": "boolean"} if field.kind == "boolean" else number


def _refusal(schema: Schema, value: Any, rule: str = "") -> StudyError:
    fix = suggest_name(value, schema["enum"]) if isinstance(value, str) and "enum" in schema else ""
    # The rule lists the choices already.
    fix = "" if fix.startswith("Known") else fix
    if isinstance(value, list) and schema.get("type") != "array":
        fix = "To try several values, put them under sweep or search."
    return StudyError(rule or describe_rule(schema), got=value, fix=fix)
