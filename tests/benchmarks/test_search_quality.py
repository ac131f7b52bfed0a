"""Replayed searches on a made-up table whose best point is known."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from optuna.samplers import BaseSampler

from benchmarks import search_quality
from benchmarks.recorded_table import RecordedTable, Training, load_table, write_table
from benchmarks.replaying import Method, Trace, replay

EPOCHS = 5
SEEDS = 3
STUDY = """
name: made-up
data: digits
sweep:
  block: [plain, residual]
  depth: [8, 14]
  shortcut: {choice: [pad, projection], when: {block: residual}}
  training.learning_rate: [0.01, 0.1, 1.0]
seeds: 3
objectives: {val_error: minimize}
training: {epochs: 5}
tracking: {enabled: false}
"""
BEST = {
    "architecture.block": "residual",
    "architecture.depth": 14,
    "architecture.shortcut": "projection",
    "training.learning_rate": 0.1,
}
FAILING = {
    "architecture.block": "plain",
    "architecture.depth": 14,
    "training.learning_rate": 1.0,
}


def points() -> list[dict[str, Any]]:
    forms = [("plain", None), ("residual", "pad"), ("residual", "projection")]
    found = []
    for (block, shortcut), depth, rate in itertools.product(forms, (8, 14), (0.01, 0.1, 1.0)):
        values = {"architecture.block": block, "architecture.depth": depth}
        values |= {"architecture.shortcut": shortcut} if shortcut else {}
        found.append({**values, "training.learning_rate": rate})
    return found


def training(values: dict[str, Any], seed: int) -> Training:
    """The best one has an error of 10 %, all others 40 % and more, from the first epoch on."""
    error = 0.1 if values == BEST else round(0.4 + 0.01 * seed, 2)
    errors = (error,) * (2 if values == FAILING else EPOCHS)
    outcome = ("failed", "not a number in epoch 3") if values == FAILING else ("complete", "")
    return Training(values, seed, *outcome, 1000, 10_000, errors, errors, math.nan, 1.0)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> RecordedTable:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "made_up.yaml").write_text(STUDY, encoding="utf-8")
    rows = [training(values, seed) for values in points() for seed in range(SEEDS)]
    paths = ["architecture.block", "architecture.depth", "architecture.shortcut", "training.learning_rate"]
    write_table(rows, folder / "made_up.csv.gz", paths)
    return load_table("made_up", folder)


class Oracle(BaseSampler):
    """Proposes the best point of the table."""

    def infer_relative_search_space(self, *_: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, *_: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        return BEST.get(name, BEST.get(f"architecture.{name}"))


def search(table: RecordedTable, seed: int = 0, **lines: str) -> Trace:
    method = Method("method", {"sampler": "random", **lines})
    return replay(table, method, seed=seed, budget_epochs=10_000, trials=40, workers=1)


def test_a_table_is_read_as_it_was_written(table: RecordedTable) -> None:
    rows = [training(values, seed) for values in points() for seed in range(SEEDS)]
    assert [str(row) for row in table.trainings] == [str(row) for row in rows]


def test_the_best_is_the_least_mean_error_of_points_that_never_fail(table: RecordedTable) -> None:
    assert table.best == pytest.approx(0.1)
    assert len(table.true_errors) == 18
    assert table.true_errors[table.key(FAILING)] == math.inf


def test_an_oracle_needs_one_training_and_random_search_more(
    table: RecordedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = [search(table, seed).epochs_until(table.best + 0.002) for seed in range(5)]
    monkeypatch.setattr("archsearch.search.cell_search.build_sampler", lambda *_, **__: Oracle())
    knowing = [search(table, seed).epochs_until(table.best + 0.002) for seed in range(5)]
    assert knowing == [EPOCHS] * 5
    assert sum(blind) > 3 * sum(knowing)


def test_what_is_pruned_costs_the_epochs_that_it_was_trained(table: RecordedTable) -> None:
    trace = search(table, pruner="{name: median, n_startup_trials: 1, n_warmup_steps: 2}")
    counts = trace.trials
    assert counts["pruned"] >= 3
    assert counts["repeated"] > 3
    # Of a complete one all epochs, of a pruned or failed one two, of a repeated one none.
    expected = counts["complete"] * EPOCHS + (counts["pruned"] + counts.get("failed", 0)) * 2
    assert trace.spent_epochs == expected


def test_no_trial_starts_once_the_budget_is_spent(table: RecordedTable) -> None:
    trace = replay(
        table, Method("random", {"sampler": "random"}), seed=0, budget_epochs=12, trials=40, workers=1
    )
    assert 12 <= trace.spent_epochs < 12 + EPOCHS


def test_several_workers_spend_as_much_in_less_time(table: RecordedTable) -> None:
    method = Method("qmc", {"sampler": "qmc"})
    one, four = (
        replay(table, method, seed=0, budget_epochs=10_000, trials=30, workers=workers) for workers in (1, 4)
    )
    assert one.spent_epochs == four.spent_epochs
    assert four.simulated_s < one.simulated_s / 2


def test_the_answer_is_what_the_search_saw_as_best_and_is_worth_its_mean() -> None:
    trace = Trace(((10, 0.3), (20, 0.1), (30, 0.2)), 40, 1.0, {})
    assert trace.error_after(5) == math.inf
    assert [trace.error_after(n) for n in (10, 19, 20, 100)] == [0.3, 0.3, 0.1, 0.2]
    assert trace.epochs_until(0.25) == 20
    assert trace.epochs_until(0.05) == math.inf


@pytest.mark.parametrize(("n", "rank"), [(6, 1), (10, 2), (20, 6), (50, 18)])
def test_the_interval_of_a_median_is_that_of_the_tables(n: int, rank: int) -> None:
    # Ranks of the distribution-free 95 % interval, as tables of the sign test have them.
    assert search_quality.median_interval(list(range(1, n + 1))) == (rank, n + 1 - rank)


def test_replays_that_never_get_there_count(table: RecordedTable) -> None:
    found, never = Trace(((7, 0.1),), 50, 1.0, {}), Trace(((7, 0.4),), 50, 1.0, {})
    row = search_quality.summarize_method("m", [found, never, never], 0.1, within=0.002, checkpoints=[5, 50])
    assert row["epochs_until_within"] is None
    assert row["reached"] == 1
    assert row["regret_points"][5] == [None, None, None]
    assert row["regret_points"][50] == pytest.approx([0.0, 30.0, 30.0])


@pytest.mark.parametrize(
    ("median", "lower", "said"),
    [
        *((900, 500, " 1/9.0"), (None, 500, " <1/5.0"), (None, 90, " - "), (None, None, " - ")),
        # Rounded, a bound of 8.99 would be one of 9.0, which is false.
        *((899, 500, " 1/8.9"), (None, 899, " <1/8.9")),
    ],
)
def test_a_baseline_that_often_came_nowhere_is_given_its_least(
    median: float | None, lower: float | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    common = {"reached": 1, "replays": 3, "spent_epochs": 1000, "regret_points": {}}
    baseline = {"method": "random", "epochs_until_within": median, "interval": [lower, None], **common}
    other = {"method": "better", "epochs_until_within": 100, "interval": [90, 120], **common}

    search_quality.print_table([baseline, other], 0.002)

    assert said in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("name", [name for name in search_quality.METHODS if name != "gp"])
def test_every_method_runs(name: str, table: RecordedTable) -> None:
    method = search_quality.METHODS[name]
    assert replay(table, method, seed=1, budget_epochs=60, trials=30, workers=2).spent_epochs >= 20


def test_every_method_is_compared_and_those_beside_under_twenty_seeds_at_most() -> None:
    asked = {*search_quality._COMPARED, *search_quality._BESIDE}
    left_out = {"random+median", "random+successive_halving", "random+hyperband", "random+pasha"}
    assert asked == set(search_quality.METHODS) - left_out
    counts = [
        search_quality._count_replays(search_quality.METHODS[name], replays)
        for name in ("tpe", "gp")
        for replays in (50, 3)
    ]
    assert counts == [50, 3, 20, 3]


@pytest.mark.parametrize(
    ("name", "panel"),
    [
        ("tpe", "the sampler alone"),
        ("random+median", "with a pruner"),
        ("tpe+1_epoch_then_best", "with a scheduler"),
    ],
)
def test_a_method_is_drawn_among_its_like(name: str, panel: str) -> None:
    assert search_quality._panel_of(name) == panel


def test_the_command_writes_a_table_a_picture_and_json(
    table: RecordedTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(table.study.source).parent
    output = tmp_path / "quality.json"
    arguments = f"--table made_up --tables-dir {folder} --methods random random+median --replays 3 "
    picture = tmp_path / "quality.png"
    arguments += f"--budget-epochs 60 --trials 20 --processes 1 --output {output} --picture {picture}"
    monkeypatch.setattr("sys.argv", ["search_quality", *arguments.split()])
    search_quality.main()
    assert "random+median" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert output.stat().st_size > 500
