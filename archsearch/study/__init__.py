"""What to try: a YAML file -> `StudyConfig`, validated whole before anything runs, without torch."""

from archsearch.study.architecture_file import read_architecture
from archsearch.study.cells import Cell, combine, label_values, sample_search
from archsearch.study.dimensions import Dimension
from archsearch.study.growth import check_growth
from archsearch.study.json_schema import study_schema
from archsearch.study.loading import load_study, parse_study
from archsearch.study.schema import Bounds, Choice, Match, StudyConfig
from archsearch.study.settings import (
    BudgetSettings,
    DataSettings,
    ExecutionSettings,
    TrackingSettings,
    TrainingSettings,
)
from archsearch.study.space import TrialSpec

__all__ = [
    "Bounds",
    "BudgetSettings",
    "Cell",
    "Choice",
    "DataSettings",
    "Dimension",
    "ExecutionSettings",
    "Match",
    "StudyConfig",
    "TrackingSettings",
    "TrainingSettings",
    "TrialSpec",
    "check_growth",
    "combine",
    "label_values",
    "load_study",
    "parse_study",
    "read_architecture",
    "sample_search",
    "study_schema",
]
