"""The words of an error: what a value must be, from its JSON Schema, and which name was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

Schema = Mapping[str, Any]


def describe_rule(schema: Schema) -> str:
    """What a JSON Schema asks for, in plain English: ``must be an integer of at least 1``."""
    return f"must be {_describe(schema)}"


def suggest_name(given: object, known: Iterable[str]) -> str:
    """``Did you mean 'learning_rate'?``, else the list of what is known where it is short, else nothing."""
    names = list(known)
    closest = get_close_matches(str(given)[:100], names, n=1)
    if closest:
        return f"Did you mean {closest[0]!r}?"
    return f"Known: {', '.join(names)}." if 0 < len(names) <= 20 else ""


def _describe(schema: Schema) -> str:
    if "anyOf" in schema:
        return ", or ".join(_describe(option) for option in schema["anyOf"] if option != {"type": "null"})
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return _one_of(schema["enum"])
    if schema.get("type") == "array":
        return f"a list, each {_describe(schema['items'])}" if "items" in schema else "a list"
    nouns = {
        "integer": "an integer",
        "number": "a number",
        "boolean": "true or false",
        "string": "text",
        "object": "a mapping",
    }
    return nouns[schema["type"]] + _bounds(schema)


def _one_of(values: Iterable[Any]) -> str:
    names = list(dict.fromkeys(str(value) for value in values))
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:_} to {high:_}"
    words = {
        "minimum": "of at least",
        "exclusiveMinimum": "above",
        "maximum": "of at most",
        "exclusiveMaximum": "below",
    }
    parts = [f"{words[key]} {schema[key]}" for key in words if schema.get(key) is not None]
    return " " + " and ".join(parts) if parts else ""
