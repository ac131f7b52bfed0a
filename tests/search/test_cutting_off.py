"""A study that was cut off after any record goes on as if it had not been, however it searches."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from archsearch.search.conductor import Conductor
from archsearch.study.vocabulary import FROM_PACKAGE, PRUNERS, SAMPLERS, SCHEDULERS
from archsearch.training import Job
from tests.search.conftest import Laboratory, TableExecutor, hashed_curve

# Conditions, a repeated proposal now and then, networks that are too large, and one rate that diverges.
SEARCH = """
name: resumed
data: digits
architecture: {layout: cifar, width: 8}
search:
  depth: [8, 14, 20]
  block: [plain, residual]
  shortcut: {choice: [pad, projection], when: {block: residual}}
  training.learning_rate: {low: 0.01, high: 0.5, log: true}
trials: 8
training: {epochs: 3}
"""
ONE = "objectives: {val_accuracy: maximize}\n"
TWO = "objectives: {val_accuracy: maximize, parameters: minimize}\n"
SMALL = "constraints: {parameters: {max: 50_000}}\n"
GRID = SEARCH.replace("{low: 0.01, high: 0.5, log: true}", "[0.05, 0.4]")

STUDIES = {
    "tpe hyperband": SEARCH
    + ONE
    + SMALL
    + "sampler: {name: tpe, n_startup_trials: 3}\npruner: {name: hyperband, reduction_factor: 2}\n",
    "tpe successive_halving": SEARCH.replace("  block: [plain, residual]\n", "")
    .replace("  shortcut: {choice: [pad, projection], when: {block: residual}}\n", "")
    .replace("trials: 8", "trials: 5")
    + "sweep: {block: [plain, residual]}\nseeds: 2\n"
    + ONE
    + "sampler: {name: tpe, n_startup_trials: 2}\npruner: {name: successive_halving, min_resource: 1}\n",
    "tpe none": SEARCH + TWO + SMALL + "sampler: {name: tpe, n_startup_trials: 3}\n",
    "random median": SEARCH + ONE + SMALL + "sampler: random\npruner: {name: median, n_startup_trials: 1}\n",
    "grid percentile": GRID
    + ONE
    + SMALL
    + "sampler: grid\npruner: {name: percentile, percentile: 60.0, n_startup_trials: 1}\n",
    "qmc median": SEARCH + ONE + "sampler: qmc\npruner: {name: median, n_startup_trials: 1}\n",
    "nsga2 none": SEARCH + TWO + SMALL + "sampler: {name: nsga2, population_size: 3}\n",
    "nsga2 hyperband": SEARCH
    + ONE
    + SMALL
    + "sampler: {name: nsga2, population_size: 3}\npruner: hyperband\n",
    "gp median": SEARCH.replace("trials: 8", "trials: 7")
    + ONE
    + SMALL
    + "sampler: {name: gp, n_startup_trials: 4}\npruner: {name: median, n_startup_trials: 1}\n",
    "evolution median": SEARCH
    + ONE
    + SMALL
    + "sampler: {name: evolution, population_size: 2, sample_size: 2}\n"
    + "pruner: {name: median, n_startup_trials: 1}\n",
    "local_search none": SEARCH + ONE + "sampler: {name: local_search, n_startup_trials: 2}\n",
    "tpe asha": SEARCH
    + ONE
    + SMALL
    + "sampler: {name: tpe, n_startup_trials: 3}\nscheduler: {name: asha, reduction_factor: 2}\nseeds: 2\n",
    "evolution pasha": SEARCH.replace("epochs: 3", "epochs: 5")
    + ONE
    + SMALL
    + "sampler: {name: evolution, population_size: 2, sample_size: 2}\n"
    + "scheduler: {name: pasha, reduction_factor: 2}\n",
    "random epochs_then_best": SEARCH.replace("  block: [plain, residual]\n", "")
    .replace("  shortcut: {choice: [pad, projection], when: {block: residual}}\n", "")
    .replace("trials: 8", "trials: 4")
    + "sweep: {block: [plain, residual]}\n"
    + ONE
    + "sampler: random\nscheduler: {name: epochs_then_best, finalists: 2}\n",
    "gp none": SEARCH.replace("trials: 8", "trials: 6") + TWO + "sampler: {name: gp, n_startup_trials: 4}\n",
}


def diverging(job: Job) -> list[float]:
    curve = hashed_curve(job)
    return [curve[0], math.nan] if 0.1 < job.training.learning_rate < 0.2 else curve


def run(laboratory: Laboratory, text: str) -> list[tuple[object, ...]]:
    """All that matters of each trial: what was proposed, remembered, reported, and how it ended."""
    conductor: Conductor = laboratory.run(text, TableExecutor(curve=diverging))
    return [
        (
            trial.number,
            trial.phase,
            dict(trial.cell),
            dict(trial.values),
            trial.optuna,
            trial.outcome,
            trial.reason,
            trial.objective_values,
            trial.repeated_of,
            {seed: (item.outcome, item.epochs) for seed, item in trial.replicates.items()},
        )
        for trial in conductor.trials.values()
    ]


def test_every_sampler_pruner_and_scheduler_is_covered() -> None:
    samplers, others = (set(part) for part in zip(*(name.split() for name in STUDIES), strict=True))
    assert samplers == set(SAMPLERS) - set(FROM_PACKAGE)
    assert others == set(PRUNERS) | set(SCHEDULERS)


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_cut_off_after_any_record_it_proposes_and_comes_to_the_same(
    name: str, laboratory: Laboratory, tmp_path: Path
) -> None:
    text = STUDIES[name]
    whole = run(laboratory, text)
    lines = laboratory.folder.journal.read_bytes().splitlines(keepends=True)
    if not name.endswith("none"):
        assert "pruned" in {row[5] for row in whole}
    # A Gaussian process takes a second: of its records only those at which something is proposed.
    cuts = [
        kept
        for kept in range(1, len(lines))
        if not name.startswith("gp") or b'"kind":"trial"' in lines[kept] or b'"kind":"told"' in lines[kept]
    ]
    for kept in cuts:
        other = Laboratory(tmp_path / f"cut-{kept}")
        other.folder.path.mkdir()
        other.folder.journal.write_bytes(b"".join(lines[:kept]))
        assert run(other, text) == whole, f"cut after {kept} of {len(lines)} lines"
