"""The copy of a study in Optuna storages that people share: PostgreSQL, and Optuna's proxy server on it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest

from archsearch.application.running import run_study
from archsearch.study import parse_study
from tests.services import OPTUNA_PROXY, POSTGRESQL, read_trials

STUDY = """
name: {name}
data: {{name: digits, train_limit: 64}}
architecture: {{layout: mlp, width: 4}}
sweep: {{block: [plain, residual]}}
search:
  depth: [3, 5]
  training.learning_rate: {{low: 0.01, high: 0.5, log: true}}
trials: {trials}
seeds: 1
training: {{epochs: 2, batch_size: 64, precision: '32'}}
execution: {{executor: inline}}
tracking: {{enabled: false, optuna: '{url}'}}
"""


def _bare(values: Mapping[str, object]) -> dict[str, object]:
    """Optuna knows a field of the architecture by its bare name."""
    return {name.removeprefix("architecture."): value for name, value in values.items()}


@pytest.mark.slow
@pytest.mark.parametrize("service", [POSTGRESQL, OPTUNA_PROXY])
def test_a_storage_holds_every_trial_of_the_search_once(
    service: str, services: dict[str, str], tmp_path: Path
) -> None:
    name = f"copied-{uuid.uuid4().hex}"

    def run(trials: int) -> dict[str, list[tuple[int, float, dict[str, object]]]]:
        text = STUDY.format(name=name, trials=trials, url=services[service])
        history = run_study(parse_study(text, "copied.yaml"), runs_folder=tmp_path).history
        searched = [trial for trial in history.trials.values() if trial.phase == "search"]
        return {
            block: [
                (trial.number, trial.objective_values[0], _bare(trial.values))
                for trial in searched
                if trial.cell["architecture.block"] == block and trial.objective_values
            ]
            for block in ("plain", "residual")
        }

    run(2)
    expected = run(3)
    for block, trials in expected.items():
        # What stands in the database, whoever wrote it.
        copied = read_trials(services[POSTGRESQL], f"{name}/block={block}")
        assert [
            (trial.user_attrs["archsearch.trial"], trial.value, trial.params) for trial in copied
        ] == trials
        assert len(trials) == 3
