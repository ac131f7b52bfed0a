"""Every benchmark runs, at sizes that say nothing about speed."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from archsearch.training import Job
from benchmarks import (
    deterministic,
    growth,
    overhead,
    packing,
    precision,
    predictors,
    real_search,
    record_table,
    scale,
    signals,
    throughput,
)
from benchmarks.postgresql import PostgreSQL, find_programs
from benchmarks.recorded_table import load_table

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a benchmark's command and return its results."""

    def run(main: Callable[[], None], arguments: str) -> list[dict[str, Any]]:
        output = tmp_path / "result.json"
        monkeypatch.setattr(sys, "argv", ["benchmark", *arguments.split(), "--output", str(output)])
        main()
        document = json.loads(output.read_text(encoding="utf-8"))
        assert document["machine"]["torch"]
        return list(document["results"])

    return run


@pytest.fixture
def few_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A space of which counting every network takes no seconds."""
    for module in (growth, scale):
        assert "depth: [8, 14, 20, 26, 32]" in module.STUDY
        monkeypatch.setattr(module, "STUDY", module.STUDY.replace("14, 20, 26, 32]", "14]"))


@pytest.mark.usefixtures("few_networks")
def test_scale_counts_what_was_handled_and_where_the_time_went(run: Run) -> None:
    (row,) = run(scale.main, "--trials 8 --workers 4")
    assert row["reports_per_s"] > row["trials_per_s"] > 0
    assert sum(row["shares"].values()) == pytest.approx(1)
    assert row["shares"]["journal_fsync"] > 0


@pytest.mark.usefixtures("few_networks")
def test_scale_says_when_something_is_lost(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "EPOCHS", 10)
    monkeypatch.setattr(scale, "STUDY", scale.STUDY.replace("epochs: {epochs}", "epochs: 9"))
    with pytest.raises(AssertionError, match="9 epochs"):
        run(scale.main, "--trials 4 --workers 1")


@pytest.mark.slow
@pytest.mark.skipif(find_programs() is None, reason="PostgreSQL is not installed")
def test_scale_with_postgresql_behind_optuna_and_mlflow(tmp_path: Path) -> None:
    # In a process of its own, which takes the pools of connections of MLflow and Optuna with it.
    output = tmp_path / "result.json"
    command = [sys.executable, "-m", "benchmarks.scale", "--trials", "6", "--workers", "4", "--postgresql"]
    done = subprocess.run([*command, "--output", str(output)], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    (row,) = json.loads(output.read_text(encoding="utf-8"))["results"]
    assert 0 <= row["mlflow_trials_behind"] <= 6
    assert row["mlflow_lag_s"] > 0
    assert row["optuna_lag_s"] > 0


@pytest.mark.slow
@pytest.mark.skipif(find_programs() is None, reason="PostgreSQL is not installed")
def test_a_postgresql_server_leaves_nothing_behind() -> None:
    import psycopg

    with PostgreSQL() as server:
        url = server.create_database("some").replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        folder = server.folder
        assert folder.is_dir()
    assert not folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)


def row_of_scale(**more: float) -> dict[str, Any]:
    shares = {"journal_fsync": 0.3, "optuna": 0.2, "conductor": 0.5}
    return {"trials": 100, "trials_per_s": 10.0, "shares": shares, **more}


@pytest.mark.parametrize(
    ("lags", "said"),
    [
        ({}, "conductor, 50% of the time"),
        ({"optuna_lag_s": 9.0, "mlflow_lag_s": 9.9}, "conductor, 50% of the time"),
        ({"optuna_lag_s": 9.0, "mlflow_lag_s": 10.1}, "mlflow, 10.1 s behind"),
        ({"optuna_lag_s": 30.0, "mlflow_lag_s": 10.1}, "optuna, 30.0 s behind"),
    ],
)
def test_what_saturates_first_is_a_store_that_cannot_follow_or_the_largest_share(
    lags: dict[str, float], said: str
) -> None:
    # the study took 10 s
    assert scale.find_saturated(row_of_scale(**lags)) == said


@pytest.mark.slow
def test_growth_measures_time_memory_and_mlflow(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "TIMED", 3)
    rows = {row["row"]: row for row in run(growth.main, "--sizes 12 --rows random optuna_tpe")}
    assert rows["random"]["trial_ms"]["median"] > rows["random"]["optuna_ms"]["median"] > 0
    assert rows["optuna_tpe"]["held_kib_per_trial"] > 0
    assert rows["mlflow"]["written_ms_per_trial"] > 0
    assert rows["mlflow"]["lag_s"] > 0
    assert 0 <= rows["mlflow"]["trials_behind"] <= 3


@pytest.mark.slow
def test_throughput_times_eager_float32_and_what_is_chosen(run: Run) -> None:
    rows = run(throughput.main, "--images 8x8 --networks residual-8 mlp-plain-2 --rounds 1 --turn-s 0.01")
    assert [row["network"] for row in rows] == ["residual-8", "mlp-plain-2"]
    for row in rows:
        ratio = row["chosen_images_per_s"]["median"] / row["eager_images_per_s"]["median"]
        assert ratio == pytest.approx(row["gain"]["median"])


@pytest.mark.slow
def test_packing_compares_one_with_a_pack(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    case = "ResNet-8, width 8, digits"
    monkeypatch.setattr(packing, "_CASES", {"one": packing._CASES[case]})
    (row,) = run(packing.main, "--rounds 1 --epochs 1 --counts 2 --arithmetic float32 --cases one")
    assert row["K"] == 2
    assert row["saved_frac"]["median"] == pytest.approx(1 - row["packed_to_one"]["median"] / 2)


@pytest.mark.slow
def test_overhead_compares_stacks_on_the_same_task(run: Run) -> None:
    rows = run(overhead.main, "--tasks digits-resnet8 --stacks bare inline --rounds 1")
    bare, inline = rows
    assert inline["of_bare"]["median"] > 0
    # The same networks from the same weights, on the same images in the same order; rounding differs.
    assert inline["accuracy"]["median"] == pytest.approx(bare["accuracy"]["median"], abs=0.05)


@pytest.mark.slow
def test_overhead_runs_what_is_written_by_hand_and_what_has_several_processes(run: Run) -> None:
    stacks = ["bare_dealt", "local_auto", "hand_written"]
    rows = run(overhead.main, f"--tasks digits-brief --stacks {' '.join(stacks)} --rounds 1")
    assert [row["stack"] for row in rows] == stacks
    assert all(row["accuracy"]["n"] == 1 for row in rows)
    assert 0 < rows[1]["training_seconds"]["median"] < rows[1]["seconds"]["median"]


def test_overhead_takes_the_whole_chain_apart(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {
        "bare": 8.0,
        "bare_dealt": 4.0,
        "inline": 6.0,
        "local": 3.0,
        "local_auto": 2.0,
        "hand_written": 24.0,
    }
    monkeypatch.setattr(
        overhead, "time_once", lambda stack, _: {"seconds": (s := seconds[stack]), "training_seconds": s / 2}
    )
    *_, factors = run(overhead.main, f"--tasks digits-brief --stacks {' '.join(seconds)} --rounds 1")
    found = {name: factor["median"] for name, factor in factors["factors"].items()}
    assert found == {
        "overhead": 3,
        "packing": pytest.approx(8 / 6),
        "cores": 2,
        "parallelism": 2,
        "precision": 1.5,
        "all": 12,
        "parallelism_while_training": 2,
    }
    chain = [found[name] for name in ("overhead", "packing", "parallelism", "precision")]
    assert math.prod(chain) == pytest.approx(found["all"])


def test_predictors_are_compared_with_the_table(run: Run) -> None:
    rows = run(predictors.main, "--networks 12")
    ranked = {row["predictor"]: row["ranked"] for row in rows if row["networks"] == "all"}
    assert ranked == dict.fromkeys(predictors.PREDICTORS, 12)
    for row in rows:
        found = row["correlation"]
        assert (found is None) == (row["ranked"] < 10)
        assert found is None or found["rho_low"] <= found["rho"] <= found["rho_high"]
        assert 0 <= row["best_kept"] <= 1


@pytest.mark.slow
def test_real_search_trains_until_the_epochs_are_spent_and_looks_the_answer_up(run: Run) -> None:
    (row,) = run(real_search.main, "--methods tpe+asha --seeds 1 --budget-epochs 40 --trials 4")
    assert row["method"] == "tpe+asha"
    assert 4 <= row["epochs"]["median"] <= 40
    assert row["complete"]["median"] >= 1
    assert row["regrets_points"] == [row["regret_points"]["median"]]
    assert row["regret_points"]["median"] >= 0


@pytest.mark.slow
def test_precision_compares_pairs(run: Run) -> None:
    row, together = run(precision.main, "--networks plain-8 --seeds 2 --epochs 1")
    difference = row["bf16_val_error"] - row["fp32_val_error"]
    assert row["difference"] == together["difference"] == pytest.approx(difference)


@pytest.mark.slow
def test_a_table_is_recorded_by_archsearch_itself_and_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (record_table.TABLES / "digits.yaml").read_text(encoding="utf-8")
    for whole, small in {
        "[plain, residual, highway, dense, grouped]": "[plain, grouped]",
        "[8, 10, 11, 13, 14, 16, 20, 22, 26, 29]": "[8]",
        "[3, 4, 6, 8]": "[3]",
        "epochs: 27": "epochs: 2",
        "activation: [relu, silu, tanh]": "training.learning_rate: [0.1, 1000.0]",
        "  shortcut: {choice: [pad, projection, projection_all], when: {block: residual}}\n": "",
    }.items():
        assert whole in text
        text = text.replace(whole, small)
    (tmp_path / "small.yaml").write_text(text, encoding="utf-8")
    study, path = record_table.load_study(tmp_path / "small.yaml"), tmp_path / "small.csv.gz"
    record_table.record_table(study, path, tmp_path / "runs")
    first, table = path.read_bytes(), load_table("small", tmp_path)
    assert len(table.trainings) == 4 * 3
    assert {len(row.val_errors) for row in table.trainings if row.outcome == "complete"} == {2}
    assert 0 < table.best < 1
    assert all(row.train_time_s > 0 for row in table.trainings if row.outcome == "complete")
    record_table.record_table(study, path, tmp_path / "runs")
    assert path.read_bytes() == first


@pytest.mark.slow
def test_signals_compares_what_is_watched_with_what_is_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = []

    def is_watched(group: object, epoch: int) -> bool:
        watched.append(epoch)
        return True

    monkeypatch.setattr(signals.Group, "_is_watched", is_watched)
    monkeypatch.setattr(signals, "_CASES", {"one": signals._CASES["ResNet-8, width 8"]})
    (row,) = run(signals.main, "--rounds 1 --epochs 2 --cases one")
    assert watched == [0, 1] * 2
    assert row["added_frac"]["n"] == 1


@pytest.mark.slow
def test_deterministic_compares_the_two_in_turns(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []
    measure_s = deterministic.measure_s

    def measure(jobs: Sequence[Job]) -> float:
        trained.extend(job.training.deterministic for job in jobs)
        return measure_s(jobs)

    monkeypatch.setattr(deterministic, "measure_s", measure)
    case = "ResNet-8, width 8"
    monkeypatch.setattr(deterministic, "_CASES", {"one": deterministic._CASES[case]})
    (row,) = run(deterministic.main, "--rounds 2 --epochs 1 --cases one")
    assert trained == [True, False] * 3
    assert row["added_frac"]["n"] == 2
