"""The data of a study, checked before anything runs."""

from __future__ import annotations

from archsearch.data import Dataset, check_data, load_dataset, load_source_plugins
from archsearch.errors import InputError
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
