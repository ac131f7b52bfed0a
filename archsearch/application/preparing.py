"""The data of a study and what it needs to be installed, checked before anything runs."""

from __future__ import annotations

from archsearch.data import Dataset, check_data, load_dataset, load_source_plugins
from archsearch.errors import InputError, StudyError
from archsearch.models.onnx_graph import find_missing
from archsearch.study import StudyConfig


def prepare_data(study: StudyConfig) -> Dataset:
    """Load the plugins' sources and the study's data.

    Raises:
        StudyError: A plugin cannot be loaded.
        DataError: The data are missing or wrong.
    """
    _, settings = study.space.fixed_settings()
    try:
        load_source_plugins(study.plugins)
        check_data(settings)
        return load_dataset(settings)
    except InputError as error:
        raise error.at(where=study.source) from error


def check_installed(study: StudyConfig) -> None:
    """Check that what the study measures can be measured here.

    Raises:
        StudyError: A package is missing.
    """
    if "latency_onnx_ms" in study.objectives and (missing := find_missing()):
        raise StudyError(
            f"needs {', '.join(missing)}, not installed here",
            path="objectives.latency_onnx_ms",
            fix="Install it with pip install 'archsearch[onnx]', or take latency_ms, measured with torch.",
            where=study.source,
        )
