"""The words that a study may use: its keys, objectives, constraints, samplers, pruners and schedulers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STUDY_KEYS: Mapping[str, str] = {
    "name": "Name of the study, its run folder and its experiment.",
    "seed": "Seed of the study: of its sampler, and of the trials of a search.",
    "data": "A data source by name, or a mapping with its name and settings.",
    "architecture": "Fixed architecture fields, or the name of a published network.",
    "sweep": "Leaves whose combinations are cells, compared with each other.",
    "search": "Leaves that Optuna samples, inside each cell where there is a sweep.",
    "trials": "Trials of the search: of each cell, where there is a sweep; without it a budget ends it.",
    "seeds": "Seeds of each cell or its confirmation: how many, a list, or min and max.",
    "smallest_difference": "The smallest difference of error that matters, as a fraction.",
    "objectives": "What is optimised, and in which direction.",
    "constraints": "Bounds that are checked before training.",
    "sampler": "How Optuna samples: a name, or a mapping with its name and options.",
    "pruner": "How Optuna stops bad trials: a name, or a mapping with its name and options.",
    "scheduler": "How trials of a search are paused and the best go on: a name, or a mapping with options.",
    "prefilter": "Which share of a search is worth training, by a predictor that needs no training.",
    "predictors": "Whether the report says how well such predictors rank the finished networks.",
    "match": "A budget of parameters or MACs for which each network's width is solved.",
    "training": "Fixed training settings.",
    "budget": "What may be spent in all.",
    "include": "Published networks that are trained first.",
    "warm_start": "Studies that were run, of whose best settings and results a search begins.",
    "plugins": "Packages whose blocks, data sources and metrics are loaded.",
    "execution": "Where trials run.",
    "tracking": "Where results are shown.",
}

DIRECTIONS = ("maximize", "minimize")
OBJECTIVES = (
    "val_accuracy",
    "val_error",
    "val_loss",
    "val_macro_f1",
    "train_error",
    "parameters",
    "macs",
    "train_time_s",
    "latency_ms",
    "latency_onnx_ms",
)
CONSTRAINTS = ("parameters", "macs", "activation_mib", "depth")
MATCHED = ("parameters", "macs")
PREDICTORS = ("parameters", "macs", "grad_norm", "synflow", "naswot")
"""Numbers of an untrained network that may tell how good it gets; see `archsearch.training.predictors`."""

# Some make lists or powers of these numbers, so that far too large ones would fill the memory.
_COUNT = {"type": "integer", "minimum": 0, "maximum": 1_000_000}
_POSITIVE = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_SWITCH = {"type": "boolean"}
_AUTO_OR_POSITIVE = {"anyOf": [{"const": "auto"}, _POSITIVE]}
_STARTUP = {"n_startup_trials": _COUNT}
_PATIENCE = {**_STARTUP, "n_warmup_steps": _COUNT, "interval_steps": _POSITIVE, "n_min_trials": _POSITIVE}
_HALVING = {"reduction_factor": {"type": "integer", "minimum": 2, "maximum": 1000}, "bootstrap_count": _COUNT}

# JSON Schema of each option, by its name in Optuna 5, of evolution and local_search by our own; options that
# are functions are left out.
SAMPLERS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "tpe": {
        **_STARTUP,
        "n_ei_candidates": {"type": "integer", "minimum": 1, "maximum": 10_000},
        "multivariate": _SWITCH,
        "group": _SWITCH,
        "constant_liar": _SWITCH,
    },
    "random": {},
    "grid": {},
    "qmc": {"qmc_type": {"enum": ["sobol", "halton"]}, "scramble": _SWITCH},
    "nsga2": {
        "population_size": {"type": "integer", "minimum": 2, "maximum": 100_000},
        "mutation_prob": _SHARE,
        "crossover_prob": _SHARE,
        "swapping_prob": _SHARE,
    },
    "gp": {**_STARTUP, "deterministic_objective": _SWITCH},
    "evolution": {
        "population_size": {"type": "integer", "minimum": 2, "maximum": 100_000},
        "sample_size": {"type": "integer", "minimum": 1, "maximum": 100_000},
    },
    "local_search": {"n_startup_trials": {"type": "integer", "minimum": 1, "maximum": 1_000_000}},
    "auto": {},
}
FROM_PACKAGE: Mapping[str, str] = {"auto": "optunahub"}
"""Samplers whose code another package fetches: a study must name it under plugins."""
OF_ONE_OBJECTIVE = ("evolution", "local_search")
"""Samplers that must know which of two trials is the better one."""
PRUNERS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "none": {},
    "median": _PATIENCE,
    "percentile": {"percentile": {"type": "number", "minimum": 0, "maximum": 100}, **_PATIENCE},
    "successive_halving": {
        "min_resource": _AUTO_OR_POSITIVE,
        "min_early_stopping_rate": {"type": "integer", "minimum": 0, "maximum": 100},
        **_HALVING,
    },
    "hyperband": {"min_resource": _POSITIVE, "max_resource": _AUTO_OR_POSITIVE, **_HALVING},
}
_PROMOTION = {
    "reduction_factor": {"type": "integer", "minimum": 2, "maximum": 1000},
    "least_epochs": _POSITIVE,
}
SCHEDULERS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "none": {},
    "asha": _PROMOTION,
    "pasha": _PROMOTION,
    "epochs_then_best": {"epochs": _POSITIVE, "finalists": _POSITIVE},
}
