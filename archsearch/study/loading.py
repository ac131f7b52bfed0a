"""A study file -> StudyConfig, every error with its file, line and path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path as FilePath
from typing import Any

from archsearch.architecture import load_plugins
from archsearch.errors import InputError, StudyError
from archsearch.study import parts
from archsearch.study.checks import check_depths, check_grid, check_used
from archsearch.study.schema import StudyConfig
from archsearch.study.settings import BudgetSettings, ExecutionSettings, TrackingSettings
from archsearch.study.space_reading import SpaceReader
from archsearch.study.vocabulary import (
    FROM_PACKAGE,
    OF_ONE_OBJECTIVE,
    PRUNERS,
    SAMPLERS,
    SCHEDULERS,
    STUDY_KEYS,
)
from archsearch.study.yaml_reading import MAX_BYTES, Document, decode, read_yaml

MAX_TRIALS = 1_000_000


def load_study(path: str | FilePath, overrides: Mapping[str, Any] | None = None) -> StudyConfig:
    """Read and validate a study file.

    Args:
        path: The YAML file.
        overrides: Values that replace or add to what is written, by dotted path: ``training.epochs``,
            ``sweep.depth``, ``trials``. The study's text is then the study with them.

    Raises:
        StudyError: The file cannot be read, or is not a study that can be run.
    """
    text = _read_text(path)
    if not overrides:
        return parse_study(text, str(path))
    document = read_yaml(text, str(path))
    for name, value in overrides.items():
        _override(document, name, value)
    # JSON is YAML, and leaves no doubt about what is text and what a number.
    return _parse(document, json.dumps(document.value, indent=2, ensure_ascii=False) + "\n")


def read_document(path: str | FilePath) -> Document:
    """Read a YAML file, with the line of every key and value.

    Raises:
        StudyError: It cannot be read, or is not YAML within the limits.
    """
    return read_yaml(_read_text(path), str(path))


def parse_study(text: str, source: str) -> StudyConfig:
    """Validate the text of a study.

    Args:
        text: YAML.
        source: Name of the file in messages.

    Raises:
        StudyError: It is not a study that can be run.
    """
    return _parse(read_yaml(text, source), text)


def _parse(document: Document, text: str) -> StudyConfig:
    if not isinstance(document.value, dict):
        raise document.error((), "must be a mapping of keys to values", got=document.value)
    parts.check_keys(document, (), tuple(STUDY_KEYS))
    plugins = parts.read_names(document, "plugins")
    if plugins:
        _load_plugins(document, plugins)
    space = SpaceReader(document)
    searches = bool(space.search)
    seed = parts.read_integer(document, "seed", low=0, high=parts.MAX_SEED) or 0
    seeds = parts.read_seeds(document, seed, searches=searches)
    prefilter = parts.read_prefilter(document, searches=searches)
    budget = parts.read_settings(document, "budget", BudgetSettings)
    study = StudyConfig(
        name=parts.read_name(document),
        seed=seed,
        base=space.base,
        sweep=space.sweep,
        search=space.search,
        trials=_read_trials(document, searches=searches, ends=budget != BudgetSettings()),
        seeds=seeds.first,
        more_seeds=seeds.more,
        smallest_difference=parts.read_smallest_difference(document),
        objectives=parts.read_objectives(document, plugins=bool(plugins)),
        constraints=parts.read_constraints(document),
        sampler=parts.read_choice(document, "sampler", SAMPLERS, "tpe"),
        pruner=parts.read_choice(document, "pruner", PRUNERS, "none"),
        scheduler=parts.read_choice(document, "scheduler", SCHEDULERS, "none"),
        prefilter=prefilter,
        predictors=parts.read_switch(document, "predictors", default=prefilter is not None),
        match=parts.read_match(document),
        budget=budget,
        include=parts.read_names(document, "include", published=True),
        warm_start=parts.read_warm_start(document, searches=searches),
        plugins=plugins,
        execution=parts.read_settings(document, "execution", ExecutionSettings),
        tracking=parts.read_settings(document, "tracking", TrackingSettings),
        text=text,
        source=document.source,
    )
    _check_together(document, study, space)
    return study


def _read_text(path: str | FilePath) -> str:
    try:
        with FilePath(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StudyError(f"cannot be read: {reason}", where=str(path)) from error
    return decode(content, str(path))


def _load_plugins(document: Document, plugins: tuple[str, ...]) -> None:
    for index, name in enumerate(plugins):
        try:
            distribution(name)
        except PackageNotFoundError as error:
            rule = "must be the name of an installed package"
            raise document.error(("plugins", index), rule, got=name, fix="Install it first.") from error
    try:
        load_plugins(plugins)
    except InputError as error:
        raise document.error(("plugins",), error.rule, got=error.got, fix=error.fix) from error


def _read_trials(document: Document, *, searches: bool, ends: bool) -> int | None:
    trials = parts.read_integer(document, "trials", low=1, high=MAX_TRIALS)
    if searches and trials is None and not ends:
        fix = "Say how many sets of values are tried, for instance trials: 20, or give a budget: {hours: 2}."
        raise document.key_error(("search",), "must be accompanied by trials or a budget", fix=fix)
    if not searches and trials not in (None, 1):
        rule = "must be left out without a search: each cell is one trial"
        raise document.error(("trials",), rule, got=trials, fix="Give seeds to repeat it.")
    return trials if searches else None


def _check_together(document: Document, study: StudyConfig, space: SpaceReader) -> None:
    if study.sampler.name in OF_ONE_OBJECTIVE and len(study.objectives) > 1:
        rule = "must be one that takes several objectives, such as nsga2 or tpe"
        raise document.error(("sampler",), rule, got=study.sampler.name)
    package = FROM_PACKAGE.get(study.sampler.name)
    if package is not None and package not in study.plugins:
        rule = f"must be accompanied by plugins: [{package}], which fetches its code and runs it"
        raise document.error(("sampler",), rule, got=study.sampler.name)
    unheard = [name for name in study.objectives if not name.startswith("val_")]
    for key, choice in (("pruner", study.pruner), ("scheduler", study.scheduler)):
        if choice.name != "none" and len(study.objectives) > 1:
            rule = "must be none with several objectives: trials then have no single value to compare"
            raise document.error((key,), rule, got=choice.name)
        if choice.name != "none" and unheard:
            rule = f"must be none with the objective {unheard[0]}, which is not known epoch by epoch"
            raise document.error((key,), rule, got=choice.name)
    if study.scheduler.name != "none":
        _check_scheduler(document, study)
    if study.match is not None and "architecture.width" in space.places:
        place = space.places["architecture.width"]
        raise document.key_error(
            place, "must be left out beside match, which solves it", fix="Keep one of the two."
        )
    with _placed(document, space):
        if study.sampler.name == "grid":
            check_grid(study.space)
        check_depths(study.space)
        cells = study.cells()
        check_used(study.space, cells, optional=space.implied)


def _check_scheduler(document: Document, study: StudyConfig) -> None:
    """A scheduler pauses the trials of a search, all of one cell planned for the same number of epochs."""
    name, key = study.scheduler.name, ("scheduler",)
    if not study.search:
        fix = "Leave it out: in a sweep each cell is one trial, which is trained to its end."
        raise document.error(key, "must be none without a search", got=name, fix=fix)
    if study.pruner.name != "none":
        fix = "Keep one of the two: a scheduler already gives poor trials a few epochs only."
        raise document.error(key, f"must be none beside the pruner {study.pruner.name}", got=name, fix=fix)
    if any(dimension.path == "training.epochs" for dimension in study.search):
        fix = "Fix or sweep training.epochs."
        raise document.error(
            key, "must be none where epochs are searched: it counts in them", got=name, fix=fix
        )


@contextmanager
def _placed(document: Document, space: SpaceReader) -> Any:
    """Add file and line to an error that names its leaf."""
    try:
        yield
    except StudyError as error:
        place = space.place(error.path, error.got)
        raise error.at(where=document.where(place)) from error


def _override(document: Document, name: str, replacement: Any) -> None:
    # Under sweep and search a dotted name is one key.
    path = tuple(name.split(".", 1 if name.startswith(("sweep.", "search.")) else -1))
    value = document.value
    for step in path[:-1]:
        value = value.setdefault(step, {}) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        raise document.error((), f"must be a mapping above {name}, which is to be replaced")
    value[path[-1]] = replacement
    # What stands on the line now has no say: errors name the line above it.
    for lines in (document.key_lines, document.value_lines):
        for place in [place for place in lines if place[: len(path)] == path]:
            del lines[place]
