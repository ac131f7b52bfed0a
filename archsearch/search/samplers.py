"""Optuna's samplers and pruners, made from a study's choice of them.

A sampler is made anew before each proposal, from a seed that depends on the study's seed, the cell and the
number of the trial alone. A resumed study thus proposes what the uninterrupted one would have.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from archsearch.errors import StudyError
from archsearch.search.column_tpe import ColumnTPESampler
from archsearch.search.evolution import EvolutionSampler, LocalSearchSampler
from archsearch.search.neighbours import Key
from archsearch.study import StudyConfig

T = TypeVar("T")

_PRUNERS: Mapping[str, Callable[..., BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
}
# The space that all finished trials share, of tpe and nsga2 and of gp; and tpe's columns.
_READ_FROM_TRIALS = ("_search_space", "_intersection_search_space", "finished")


class AskTellGridSampler(optuna.samplers.BruteForceSampler):
    """Every combination once, conditions respected; whoever asks knows when the grid is exhausted."""

    def after_trial(self, *_: Any, **__: Any) -> None:
        """Do nothing: Optuna's own version calls `Study.stop`, which ask and tell do not allow."""


def derive_seed(*parts: object) -> int:
    """A seed of 32 bits that depends on all parts and on nothing else (SHA-256 of their text)."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def build_sampler(
    name: str, options: Mapping[str, Any], *, cell_seed: int, trial_seed: int, key: Key
) -> BaseSampler:
    """Build the sampler of one proposal.

    Args:
        name: tpe, random, grid, qmc, nsga2, gp, evolution, local_search or auto.
        options: Keyword arguments of its class.
        cell_seed: Seed that all proposals of the cell share; a quasi-random sequence is one sequence only
            while its scrambling stays the same.
        trial_seed: Seed of this proposal alone.
        key: Tells apart what values would train.

    Raises:
        StudyError: Optuna refuses the options, or OptunaHub does not have the sampler.
    """
    makers: Mapping[str, Callable[..., BaseSampler]] = {
        "tpe": lambda **given: ColumnTPESampler(seed=trial_seed, **given),
        "random": lambda **given: optuna.samplers.RandomSampler(seed=trial_seed, **given),
        "grid": lambda **given: AskTellGridSampler(seed=trial_seed, **given),
        "qmc": lambda **given: optuna.samplers.QMCSampler(
            **{
                "scramble": True,
                "seed": cell_seed,
                "independent_sampler": optuna.samplers.RandomSampler(seed=trial_seed),
                "warn_independent_sampling": False,
                **given,
            }
        ),
        "nsga2": lambda **given: optuna.samplers.NSGAIISampler(seed=trial_seed, **given),
        "gp": lambda **given: optuna.samplers.GPSampler(
            **{"seed": trial_seed, "warn_independent_sampling": False, **given}
        ),
        "evolution": lambda **given: EvolutionSampler(key=key, seed=trial_seed, **given),
        "local_search": lambda **given: LocalSearchSampler(key=key, seed=trial_seed, **given),
        "auto": lambda **given: _load_auto_sampler()(seed=trial_seed, **given),
    }
    return _made(makers[name], options, path=f"sampler.{name}")


def check_sampler(study: StudyConfig) -> None:
    """Build a study's sampler once, before anything is written or trained.

    Raises:
        StudyError: It cannot be made here.
    """
    if study.search:
        build_sampler(study.sampler.name, study.sampler.options, cell_seed=0, trial_seed=0, key=str)


@cache
def _load_auto_sampler() -> Callable[..., BaseSampler]:
    """Return OptunaHub's AutoSampler, which chooses among Optuna's own by what has been tried so far."""
    try:
        hub = import_module("optunahub")
        found: Callable[..., BaseSampler] = hub.load_module("samplers/auto_sampler").AutoSampler
    # it is fetched from the network, and runs its own code
    except Exception as error:
        raise StudyError(
            f"cannot be had from OptunaHub ({type(error).__name__}: {error})",
            path="sampler",
            got="auto",
            fix="Install optunahub and what its page names, with access to the network, or choose tpe.",
        ) from error
    return found


def hand_on(before: BaseSampler, after: BaseSampler) -> None:
    """Give a sampler what the one before it has read out of the trials, for it need not read them again.

    That follows from the trials alone, never from the seed. It is more than half of TPE's time.
    """
    if type(before) is type(after):
        for name in _READ_FROM_TRIALS:
            if hasattr(before, name):
                setattr(after, name, getattr(before, name))


def mark_known(name: str) -> dict[str, Any]:
    """Attributes that a trial from elsewhere needs for a sampler to learn from it."""
    if name == "nsga2":
        # It belongs to the first generation.
        return {optuna.samplers.NSGAIISampler._get_generation_key(): 0}
    return {}


def build_pruner(name: str, options: Mapping[str, Any], *, epochs: int) -> BasePruner:
    """Build the pruner of a cell; hyperband's largest resource is the number of epochs.

    Raises:
        StudyError: Optuna refuses the options.
    """
    needed: dict[str, Any] = {"max_resource": epochs} if name == "hyperband" else {}
    if name == "percentile":
        needed = {"percentile": 25.0}
    return _made(_PRUNERS[name], {**needed, **options}, path=f"pruner.{name}")


def _made(maker: Callable[..., T], options: Mapping[str, Any], *, path: str) -> T:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return maker(**options)
    except (TypeError, ValueError) as error:
        raise StudyError(f"cannot be made by Optuna ({error})", path=path, got=dict(options)) from error
