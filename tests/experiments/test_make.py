"""Every claim is made, from its studies to its answers, at sizes that say nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archsearch.application import reporting
from archsearch.architecture import BLOCKS, definitions
from archsearch.journal import ReplicateHistory, RunFolder, StudyHistory, TrialHistory
from archsearch.study import StudyConfig, load_study
from archsearch.study.cells import Cell
from archsearch.study.yaml_reading import read_yaml
from benchmarks.record_table import write_rows
from benchmarks.recorded_table import TABLES, load_table
from benchmarks.replaying import Method, replay
from experiments import costs, gathering
from experiments import make as claims_make
from experiments.claims import CLAIMS, Claim
from experiments.evidence import Evidence
from experiments.make import make
from experiments.table import SOURCES, join_histories

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PLUGIN = CLAIMS["01_more_layers"].folder / "plain_dropout"
METADATA = "Metadata-Version: 2.1\nName: plain-dropout\nVersion: 1.0\n"
POINTS = "[archsearch.blocks]\nplain_dropout = plain_dropout:PLAIN_DROPOUT\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the runs of all claims, which take over what the others have trained."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The block with dropout as an installed package, which pip would make of it; forgotten afterwards."""
    info = tmp_path / "plain_dropout-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(POINTS)
    for folder in (tmp_path, PLUGIN):
        monkeypatch.syspath_prepend(str(folder))
    before = dict(BLOCKS)
    yield
    definitions._blocks.clear()
    definitions._blocks.update(before)
    sys.modules.pop("plain_dropout", None)


@pytest.fixture(autouse=True)
def _little_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few stacks that learn to copy, and accuracies that every network reaches."""
    monkeypatch.setattr(costs, "TARGETS", (0.0,))
    for name, value in (("STEPS", 20), ("SEEDS", 2), ("BLOCKS", (1, 2))):
        monkeypatch.setattr(gathering, f"_IDENTITY_{name}", value)


@pytest.fixture(autouse=True)
def _drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A study draws no report when it ends: those of which a claim has pictures are drawn afterwards."""
    draw = reporting.write_report
    monkeypatch.setattr(reporting, "write_report", lambda *_: None)
    monkeypatch.setattr(claims_make, "write_report", lambda folder: draw(folder, folder.history()))


def shrink(path: Path) -> dict[str, Any]:
    """What makes a study one of seconds: few images, two epochs, two seeds, the two smallest depths."""
    written = read_yaml(path.read_text(), str(path)).value
    data = {"name": "digits", "train_limit": 100}
    source = written["data"] if isinstance(written["data"], dict) else {}
    small: dict[str, Any] = {
        "training.epochs": 2,
        "execution.executor": "inline",
        "tracking.enabled": False,
    }
    if source.get("name") == "image_folder":
        data = {"name": "synthetic", "samples": 200, "image_size": source.get("image_size", 32)}
    else:
        # Signals are watched at one step in 16.
        small["training.batch_size"] = 6
    small["data"] = data
    small["seeds"] = written["seeds"][:2] if isinstance(written["seeds"], list) else 2
    match written.get("sweep", {}).get("depth"):
        case list(depths):
            small["sweep.depth"] = depths[:2]
        case {"choice": depths, **others}:
            small["sweep.depth"] = {"choice": depths[:2], **others}
    if "budget" in written:
        small |= {"budget.macs": 2e10}
    return small


def make_small(claim: Claim, runs: Path, results: Path, *, full: bool = False) -> Any:
    overrides = {name: shrink(path) for name, path in claim.files(full=full).items()}
    return make(claim, full=full, runs_folder=runs, results=results, overrides=overrides)


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.name)
def test_a_claim_is_made(claim: Claim, runs: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"

    finding = make_small(claim, runs, results)

    assert [part.what for part in finding.parts if part.measured == "not measured"] == []
    assert all(table for table in finding.tables.values())
    assert claim.rule(Evidence(results)) == finding
    assert (results / "verdict.csv").is_file()
    for study, picture in claim.pictures:
        assert (results / f"{study}_{picture}.png").read_bytes().startswith(b"\x89PNG")
    assert sum(path.stat().st_size for path in results.iterdir()) < 1_500_000


def test_a_claim_is_made_in_full(runs: Path, tmp_path: Path) -> None:
    claim = CLAIMS["04_depth"]

    finding = make_small(claim, runs, tmp_path, full=True)

    assert [part.what for part in finding.parts if part.measured == "not measured"] == []
    assert list(Evidence(tmp_path).studies["name"]) == [load_study(claim.files(full=True)["study"]).name]


def test_what_was_made_is_not_trained_again(runs: Path, tmp_path: Path) -> None:
    claim = CLAIMS["06_fewer_parameters"]
    first = make_small(claim, runs, tmp_path / "first")

    assert make_small(claim, runs, tmp_path / "second") == first
    trials = [
        trial for path in runs.glob("parameters*") for trial in RunFolder(path).history().trials.values()
    ]
    assert len(trials) == 4
    assert {replicate.attempts for trial in trials for replicate in trial.replicates.values()} == {1}


def test_what_could_not_be_gathered_leaves_no_half_of_a_folder(runs: Path, tmp_path: Path) -> None:
    def fail(_: gathering.Ran) -> None:
        raise ValueError("no such column")

    claim = CLAIMS["06_fewer_parameters"]
    with pytest.raises(ValueError, match="no such column"):
        make_small(replace(claim, gather=(*claim.gather, fail)), runs, tmp_path / "results")

    assert not (tmp_path / "results").exists()


def test_accuracy_against_parameters_is_drawn_for_both_kinds(runs: Path, tmp_path: Path) -> None:
    make_small(CLAIMS["06_fewer_parameters"], runs, tmp_path)

    assert (tmp_path / "accuracy_parameters.png").read_bytes().startswith(b"\x89PNG")


def test_a_search_of_the_recorded_table_is_replayed(runs: Path, tmp_path: Path) -> None:
    for source in SOURCES:
        make_small(CLAIMS[source], runs, tmp_path / source)
    written = TABLES / "cifar10.yaml"
    table = load_study(written, shrink(written))
    (tmp_path / "cifar10.yaml").write_text(table.text)
    files = [file for source in SOURCES for file in CLAIMS[source].files().values()]
    histories = [RunFolder.find(load_study(file).name, runs).history() for file in files]

    write_rows(table, join_histories(table, histories), tmp_path / "cifar10.csv.gz")

    recorded = load_table("cifar10", tmp_path)
    # Two depths of two blocks, of which one has seven shortcuts more; two seeds each.
    assert len(recorded.trainings) == 2 * (4 + 7)
    trace = replay(
        recorded, Method("random", {"sampler": "random"}), seed=0, budget_epochs=20, trials=20, workers=2
    )
    assert trace.error_after(20) < 1


def test_a_table_holds_its_own_seeds_alone_where_a_claim_trained_more() -> None:
    table = load_study(TABLES / "cifar10.yaml")
    trials = {cell.index: trained(table, cell, seeds=(0, 1, 2, 3, 4)) for cell in table.cells()}

    joined = join_histories(table, [StudyHistory(trials=trials)])

    assert {trial.seeds for trial in joined.trials.values()} == {(0, 1, 2)}
    assert {tuple(trial.replicates) for trial in joined.trials.values()} == {(0, 1, 2)}


def trained(table: StudyConfig, cell: Cell, *, seeds: tuple[int, ...]) -> TrialHistory:
    """A trial that a claim's study would have for a point of a table."""
    spec = table.resolve(cell.values)
    training, data = (json.loads(one.model_dump_json()) for one in (spec.training, spec.data))
    return TrialHistory(
        number=cell.index,
        created=0.0,
        name="",
        phase="sweep",
        cell={},
        values={},
        architecture=spec.architecture.to_mapping(),
        architecture_id=spec.architecture.id,
        training=training,
        data=data,
        requested_depth=None,
        dropped=(),
        parameters=None,
        macs=None,
        activation_mib=None,
        seeds=seeds,
        optuna=None,
        replicates={seed: ReplicateHistory(seed) for seed in seeds},
    )


def test_a_table_of_which_a_point_is_missing_is_refused() -> None:
    with pytest.raises(SystemExit, match="was not trained yet: make 04_depth and 05_shortcuts first"):
        join_histories(load_study(TABLES / "cifar10.yaml"), [])
