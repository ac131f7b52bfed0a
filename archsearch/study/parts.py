"""The parts of a study beside its space, read one by one: objectives, seeds, sampler, budget."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from archsearch.architecture import published_names
from archsearch.errors import InputError
from archsearch.study.leaves import settings_leaves
from archsearch.study.schema import SMALLEST_DIFFERENCE, Bounds, Choice, Direction, Match, Matched, Prefilter
from archsearch.study.settings import Settings, is_safe_name
from archsearch.study.space import build_settings
from archsearch.study.vocabulary import CONSTRAINTS, DIRECTIONS, MATCHED, OBJECTIVES, PREDICTORS
from archsearch.study.wording import Schema, describe_rule, suggest_name
from archsearch.study.yaml_reading import Document, Path

MAX_SEED = 2**31 - 1
MAX_SEEDS = 1000

S = TypeVar("S", bound=Settings)


def read_name(document: Document) -> str:
    """The study's name, which is also that of a folder."""
    name = document.value.get("name")
    if name is None:
        raise document.error((), "must have a name", fix="Add a line like: name: my-study.")
    if not isinstance(name, str) or not is_safe_name(name):
        rule = "must be at most 100 letters, digits, '.', '_' and '-', the first a letter or digit"
        if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name, re.ASCII):
            rule = "must not end with a dot, nor be what Windows calls a device"
        raise document.error(("name",), rule, got=name)
    return name


def read_integer(document: Document, key: str, *, low: int, high: int) -> int | None:
    """An optional integer within bounds."""
    if key not in document.value:
        return None
    value = document.value[key]
    if not _fits(value, {"type": "integer", "minimum": low, "maximum": high}):
        raise document.error((key,), f"must be an integer from {low} to {high:_}", got=value)
    return cast(int, value)


def read_settings(document: Document, key: str, model: type[S]) -> S:
    """A group of settings whose fields are all optional."""
    given = read_mapping(document, (key,))
    leaves = settings_leaves(model, key)
    check_keys(document, (key,), [leaf.name for leaf in leaves.values()])
    values = {}
    for name, value in given.items():
        try:
            values[name] = leaves[f"{key}.{name}"].check(value)
        except InputError as error:
            raise error.at(where=document.where((key, name)), path=f"{key}.{name}") from error
    try:
        return build_settings(model, values, key)
    except InputError as error:
        raise error.at(where=document.where((key,))) from error


class Seeds(NamedTuple):
    """The seeds of each cell.

    Attributes:
        first: That it always has.
        more: That are added one by one where they are needed.
    """

    first: tuple[int, ...]
    more: tuple[int, ...] = ()


def read_seeds(document: Document, seed: int, *, searches: bool) -> Seeds:
    """The seeds that count: of each cell's trial, or with a search of its confirmation."""
    given = document.value.get("seeds")
    if given is None:
        return Seeds(() if searches else (seed,))
    if isinstance(given, list):
        return Seeds(_listed_seeds(document, given, seed, searches=searches))
    # A search trains under `seed` itself: confirmation needs seeds that had no part in the choice.
    first = seed + 1 if searches else seed
    if isinstance(given, dict):
        fewest, most = _read_seed_range(document, given)
        return Seeds(tuple(range(first, first + fewest)), tuple(range(first + fewest, first + most)))
    if not _fits(given, {"type": "integer", "minimum": 1, "maximum": MAX_SEEDS}):
        rule = f"must be an integer from 1 to {MAX_SEEDS}, a list of seeds, or a mapping with min and max"
        raise document.error(("seeds",), rule, got=given)
    return Seeds(tuple(range(first, first + given)))


def _read_seed_range(document: Document, given: dict[str, Any]) -> tuple[int, int]:
    check_keys(document, ("seeds",), ("min", "max"))
    for name in ("min", "max"):
        if name not in given:
            fix = "Write for instance seeds: {min: 3, max: 10}."
            raise document.error(("seeds",), "must have both min and max", got=given, fix=fix)
        # one seed has no spread that would say whether more are needed
        if not _fits(given[name], {"type": "integer", "minimum": 2, "maximum": MAX_SEEDS}):
            rule = f"must be an integer from 2 to {MAX_SEEDS}"
            raise document.error(("seeds", name), rule, got=given[name])
    if given["max"] < given["min"]:
        raise document.error(("seeds", "max"), f"must be at least min, {given['min']}", got=given["max"])
    return given["min"], given["max"]


def read_smallest_difference(document: Document) -> float:
    """The smallest difference of error that matters."""
    value = document.value.get("smallest_difference", SMALLEST_DIFFERENCE)
    if not _fits(value, {"type": "number"}) or not 0 < value < 1:
        rule = "must be a number above 0 and below 1: an error is a fraction"
        raise document.error(("smallest_difference",), rule, got=value)
    return float(value)


def _listed_seeds(document: Document, given: list[Any], seed: int, *, searches: bool) -> tuple[int, ...]:
    if not 1 <= len(given) <= MAX_SEEDS:
        raise document.error(("seeds",), f"must list 1 to {MAX_SEEDS} seeds", got=given)
    for index, value in enumerate(given):
        place = ("seeds", index)
        if not _fits(value, {"type": "integer", "minimum": 0, "maximum": MAX_SEED}):
            raise document.error(place, f"must be an integer from 0 to {MAX_SEED:_}", got=value)
        if value in given[:index]:
            raise document.error(place, "must differ from the seeds before it", got=value)
        if searches and value == seed:
            rule = "must not be the study's own seed, under which the search trains"
            raise document.error(place, rule, got=value, fix="Choose another one for the confirmation.")
    return tuple(given)


def read_objectives(document: Document, *, plugins: bool) -> dict[str, Direction]:
    """Direction by objective; the best validation accuracy where nothing is said."""
    given = read_mapping(document, ("objectives",))
    if "objectives" not in document.value:
        return {"val_accuracy": "maximize"}
    if not given:
        raise document.error(("objectives",), "must name at least one objective", got=given)
    for name, direction in given.items():
        place = ("objectives", name)
        if name not in OBJECTIVES and not (plugins and name.startswith("val_")):
            raise document.key_error(place, "is no objective", fix=suggest_name(name, OBJECTIVES))
        if direction not in DIRECTIONS:
            raise document.error(place, "must be maximize or minimize", got=direction)
    return cast(dict[str, Direction], given)


def read_constraints(document: Document) -> dict[str, Bounds]:
    """Bounds by quantity."""
    given = read_mapping(document, ("constraints",))
    check_keys(document, ("constraints",), CONSTRAINTS, "is no quantity that can be bounded")
    bounds = {}
    for name, span in given.items():
        place: Path = ("constraints", name)
        if not isinstance(span, dict) or not span:
            raise document.error(place, "must be a mapping like {max: 1_000_000}", got=span)
        check_keys(document, place, ("min", "max"))
        for end, value in span.items():
            if not _fits(value, {"type": "number", "minimum": 0}):
                raise document.error((*place, end), "must be a number of at least 0", got=value)
        bounds[name] = Bounds(span.get("min"), span.get("max"))
        if len(span) == 2 and span["min"] > span["max"]:
            raise document.error(
                (*place, "max"), f"must be at least min, which is {span['min']}", got=span["max"]
            )
    return bounds


def read_choice(
    document: Document, key: str, known: Mapping[str, Mapping[str, Schema]], default: str
) -> Choice:
    """A sampler, pruner or scheduler: a name, or a mapping of its name and options."""
    given = document.value.get(key, default)
    options: dict[str, Any] = {}
    place: Path = (key,)
    if isinstance(given, dict):
        options = {name: value for name, value in given.items() if name != "name"}
        if "name" not in given:
            raise document.error(place, "must have a name", got=given, fix=f"Known: {', '.join(known)}.")
        given, place = given["name"], (key, "name")
    if not isinstance(given, str) or given not in known:
        rule = f"must be one of {', '.join(known)}"
        close = suggest_name(given, known)
        raise document.error(place, rule, got=given, fix=close if close.startswith("Did") else "")
    for name, value in options.items():
        place = (key, name)
        if name not in known[given]:
            rule = f"is no option of {given}"
            raise document.key_error(place, rule, fix=suggest_name(name, known[given]))
        if not _fits(value, known[given][name]):
            raise document.error(place, describe_rule(known[given][name]), got=value)
    _check_together(document, key, given, options)
    return Choice(given, options)


def _check_together(document: Document, key: str, name: str, options: Mapping[str, Any]) -> None:
    # Optuna refuses these two when it makes the object, long after the study was accepted.
    if name == "tpe" and options.get("group") and options.get("multivariate") is False:
        raise document.error((key, "group"), "must be false where multivariate is", got=True)
    automatic = name == "successive_halving" and options.get("min_resource", "auto") == "auto"
    if automatic and options.get("bootstrap_count"):
        rule = "must be 0 where min_resource is auto"
        raise document.error((key, "bootstrap_count"), rule, got=options["bootstrap_count"])


def read_prefilter(document: Document, *, searches: bool) -> Prefilter | None:
    """The share of a search that is worth training."""
    if "prefilter" not in document.value:
        return None
    given = read_mapping(document, ("prefilter",))
    check_keys(document, ("prefilter",), ("score", "keep"))
    for name in ("score", "keep"):
        if name not in given:
            fix = "Write for instance prefilter: {score: synflow, keep: 0.5}."
            raise document.error(("prefilter",), "must have both score and keep", got=given, fix=fix)
    if given["score"] not in PREDICTORS:
        close = suggest_name(given["score"], PREDICTORS)
        rule = f"must be one of {', '.join(PREDICTORS)}"
        raise document.error(
            ("prefilter", "score"), rule, got=given["score"], fix=close if close.startswith("Did") else ""
        )
    if not _fits(given["keep"], {"type": "number"}) or not 0 < given["keep"] <= 1:
        rule = "must be a number above 0 and at most 1: the share that is kept"
        raise document.error(("prefilter", "keep"), rule, got=given["keep"])
    if not searches:
        rule = "must be left out without a search, whose proposals it looks at: a sweep trains every cell"
        fix = "Remove it; predictors: true says how well predictors rank the networks of a sweep."
        raise document.key_error(("prefilter",), rule, fix=fix)
    return Prefilter(given["score"], float(given["keep"]))


def read_switch(document: Document, key: str, *, default: bool) -> bool:
    """An optional true or false."""
    value = document.value.get(key, default)
    if not isinstance(value, bool):
        raise document.error((key,), "must be true or false", got=value)
    return value


def read_match(document: Document) -> Match | None:
    """The budget that widths are solved for."""
    if "match" not in document.value:
        return None
    given = read_mapping(document, ("match",))
    check_keys(document, ("match",), MATCHED)
    if len(given) != 1:
        raise document.error(("match",), "must name one of parameters and macs", got=given)
    quantity, target = cast(tuple[Matched, Any], next(iter(given.items())))
    place: Path = ("match", quantity)
    if isinstance(target, dict):
        check_keys(document, place, ("of",))
        if "of" not in target:
            raise document.error(
                place, "must be a number, or {of: the name of a published network}", got=target
            )
        _check_published(document, (*place, "of"), target["of"])
        return Match(quantity, of=target["of"])
    if not _fits(target, {"type": "integer", "minimum": 1}):
        rule = "must be an integer of at least 1, or {of: the name of a published network}"
        raise document.error(place, rule, got=target)
    return Match(quantity, target=target)


def read_names(document: Document, key: str, *, published: bool = False) -> tuple[str, ...]:
    """A list of different names, where `published` those of published networks."""
    given = document.value.get(key, [])
    if not isinstance(given, list):
        raise document.error((key,), "must be a list of names", got=given)
    for index, name in enumerate(given):
        if not isinstance(name, str) or not name:
            raise document.error((key, index), "must be a name", got=name)
        if name in given[:index]:
            raise document.error((key, index), "must differ from the names before it", got=name)
        if published:
            _check_published(document, (key, index), name)
    return tuple(given)


def read_warm_start(document: Document, *, searches: bool) -> tuple[str, ...]:
    """Studies that a search begins with: one, or a list; their names or folders."""
    given = document.value.get("warm_start")
    if given is None:
        return ()
    if not searches:
        raise document.key_error(
            ("warm_start",), "must be left out without a search, which alone begins with it"
        )
    if isinstance(given, list) and given:
        return read_names(document, "warm_start")
    if not isinstance(given, str) or not given:
        raise document.error(("warm_start",), "must be the name of a study, or a list of names", got=given)
    return (given,)


def read_mapping(document: Document, path: Path) -> dict[str, Any]:
    """The mapping at a top-level key; empty where the key is missing or holds nothing."""
    value = document.value.get(path[0])
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise document.error(path, "must be a mapping", got=value)
    return value


def check_keys(document: Document, path: Path, known: Sequence[str], rule: str = "is unknown here") -> None:
    """Refuse keys that a mapping does not have, and say which was probably meant."""
    value = document.value
    for step in path:
        value = value.get(step, {})
    for key in value or {}:
        if key not in known:
            raise document.key_error((*path, key), rule, fix=suggest_name(key, known))


def _check_published(document: Document, path: Path, name: object) -> None:
    names = published_names()
    if name not in names:
        raise document.error(
            path, "must be the name of a published network", got=name, fix=_close(name, names)
        )


def _close(name: object, names: Sequence[str]) -> str:
    fix = suggest_name(name, names)
    return fix or "`archsearch describe` lists them."


def _fits(value: Any, schema: Schema) -> bool:
    if "anyOf" in schema:
        return any(_fits(value, option) for option in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return isinstance(value, str) and value in schema.get("enum", [schema.get("const")])
    if schema["type"] == "boolean" or isinstance(value, bool):
        return schema["type"] == "boolean" and isinstance(value, bool)
    if not isinstance(value, int if schema["type"] == "integer" else int | float):
        return False
    return bool(
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
    ) and math.isfinite(value)
