from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.errors import StudyError
from archsearch.study import Bounds, Choice, Match, load_study, parse_study

# The example of the design, as a person would write it.
EXAMPLE = """\
name: resnet-depth
data: digits                      # or {name: cifar10, root: ~/data}, {name: image_folder, root: …}
architecture: {layout: cifar, width: 8}
sweep:                            # cells, compared with each other
  block: [plain, residual]
  depth: [8, 20, 32, 56]
search:                           # sampled by Optuna (inside each cell, where there is a sweep)
  training.learning_rate: {low: 0.01, high: 0.5, log: true}
  shortcut: {choice: [pad, projection], when: {block: residual}}
trials: 8                         # per cell; in all, where there is no sweep
seeds: 3                          # of each cell's trial or confirmation; a list gives them by value
objectives: {val_accuracy: maximize}        # or several: {val_accuracy: maximize, macs: minimize}
constraints: {parameters: {max: 1_000_000}} # checked before training; such trials cost nothing
sampler: tpe                      # tpe, random, grid, qmc, nsga2, gp, …, or {name: tpe, …}
pruner: hyperband                 # none, median, hyperband, …; compares like depth with like
training: {epochs: 10, batch_size: 64, optimizer: sgd, learning_rate: 0.1, momentum: 0.9,
           weight_decay: 1.0e-4, schedule: one_cycle, precision: auto, augmentation: crop_flip}
budget: {hours: 2}                # optional: also epochs, macs
include: [resnet20, plain20]      # optional: baselines, trained first
plugins: []                       # packages whose blocks, data sources and metrics may be loaded
execution: {executor: local, workers: auto, devices_per_trial: 1, retries: 2}
tracking: {uri: sqlite:///mlflow.db}
"""


def parse(text: str):
    return parse_study(text, "s.yaml")


def test_the_example_of_the_design_loads() -> None:
    study = parse(EXAMPLE)
    assert study.name == "resnet-depth"
    assert [cell.label for cell in study.cells()][:2] == ["block=plain depth=8", "block=plain depth=20"]
    assert len(study.cells()) == 8
    assert study.trials == 8
    assert study.objectives == {"val_accuracy": "maximize"}
    assert study.constraints == {"parameters": Bounds(max=1_000_000)}
    assert (study.sampler, study.pruner) == (Choice("tpe", {}), Choice("hyperband", {}))
    assert study.include == ("resnet20", "plain20")
    assert study.budget.hours == 2
    assert study.tracking.uri == "sqlite:///mlflow.db"
    spec = study.resolve(
        {"architecture.block": "residual", "architecture.depth": 20, "training.learning_rate": 0.05}
    )
    assert spec.architecture.to_mapping()["width"] == 8
    assert spec.training.learning_rate == 0.05
    assert spec.training.weight_decay == 1e-4
    assert spec.data.name == "digits"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("data: digits", "data: {name: cifar10, root: ~/data}"),
        ("data: digits", "data: {name: image_folder, root: /images}"),
        ("  depth: [8, 20, 32, 56]", "  depth: {choice: [8, 20, 32, 56]}"),
        ("seeds: 3", "seeds: [7, 8]"),
        ("sampler: tpe", "sampler: {name: tpe, multivariate: false}"),
        ("architecture: {layout: cifar, width: 8}", "architecture: resnet56"),
        ("architecture: {layout: cifar, width: 8}", "match: {parameters: 75290}"),
        ("architecture: {layout: cifar, width: 8}", "match: {parameters: {of: resnet20}}"),
    ],
)
def test_the_variants_that_the_design_names_load(old: str, new: str) -> None:
    assert old in EXAMPLE
    assert len(parse(EXAMPLE.replace(old, new)).cells()) == 8


def test_a_name_is_enough() -> None:
    study = parse("name: small\n")
    assert (study.trials, study.seeds, study.search_seed, study.confirmation_seeds) == (None, (0,), 0, ())
    assert study.objectives == {"val_accuracy": "maximize"}
    assert [cell.label for cell in study.cells()] == ["all"]
    assert study.resolve({}).architecture.block == "residual"


SEARCH = "trials: 2\nsearch: {width: [8, 16]}\n"


@pytest.mark.parametrize(
    ("lines", "seeds", "confirmation"),
    [
        ("seed: 5\n", (5,), ()),
        ("seed: 5\nseeds: 3\n", (5, 6, 7), ()),
        ("seeds: [9, 4]\n", (9, 4), ()),
        (SEARCH, (), ()),
        (SEARCH + "seed: 5\nseeds: 3\n", (6, 7, 8), (6, 7, 8)),
        (SEARCH + "seed: 5\nseeds: [1, 2]\n", (1, 2), (1, 2)),
    ],
)
def test_seeds_repeat_cells_or_confirm_a_search(
    lines: str, seeds: tuple[int, ...], confirmation: tuple[int, ...]
) -> None:
    study = parse("name: s\n" + lines)
    assert study.seeds == seeds
    assert study.confirmation_seeds == confirmation


def test_match_takes_a_number_or_a_published_network() -> None:
    assert parse("name: s\nmatch: {macs: 1_000_000}\n").match == Match("macs", target=1_000_000)
    assert parse("name: s\nmatch: {parameters: {of: resnet20}}\n").match == Match("parameters", of="resnet20")


def test_a_published_network_is_a_base_from_which_a_study_varies() -> None:
    assert parse("name: s\narchitecture: resnet56\n").resolve({}).architecture.blocks == (9, 9, 9)
    study = parse("name: s\narchitecture: wrn-28-10\nsweep: {depth: [20, 26]}\n")
    widths = [study.resolve(cell.values).architecture.width for cell in study.cells()]
    assert widths == [160, 160]
    # The stem of a narrower network follows its width, as if resnet56 had been written out.
    narrow = parse("name: s\narchitecture: resnet56\nsweep: {width: [8]}\n")
    assert narrow.resolve(narrow.cells()[0].values).architecture.stem_width == 8


def test_a_swept_training_setting_overrides_the_fixed_one() -> None:
    study = parse("name: s\ntraining: {learning_rate: 0.1}\nsweep: {training.learning_rate: [0.2, 0.4]}\n")
    assert [study.resolve(cell.values).training.learning_rate for cell in study.cells()] == [0.2, 0.4]


def test_overrides_replace_what_is_written_and_their_text_is_the_study(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(EXAMPLE)
    changes = {
        "training.epochs": 1,
        "sweep.depth": [8, 14],
        "trials": 2,
        "search.training.learning_rate": [0.1, 0.3],
    }
    study = load_study(path, changes)
    assert len(study.cells()) == 4
    assert study.trials == 2
    assert study.resolve({}).training.epochs == 1
    again = parse_study(study.text, str(path))
    assert again == study


def test_a_wrong_override_is_an_error_and_other_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(EXAMPLE)
    with pytest.raises(
        StudyError, match=r"s\.yaml:16: training\.epochs: must be an integer from 1 to 1_000_000, got ten"
    ):
        load_study(path, {"training.epochs": "ten"})
    with pytest.raises(StudyError, match=r"must be a mapping above data\.name"):
        load_study(path, {"data.name": "digits"})
    path.write_text(EXAMPLE.replace("seeds: 3", "seeds: none"))
    with pytest.raises(StudyError, match=r"s\.yaml:11: seeds: "):
        load_study(path, {"training.epochs": 2})


def test_a_plugin_is_loaded_before_its_block_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_blocks.py").write_text(
        "from archsearch.architecture import BlockDefinition, BranchForm\n"
        "twin = BlockDefinition('twin', 'add', {'basic': BranchForm('my_blocks:Twin', layers=2)})\n"
    )
    info = tmp_path / "my_blocks-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-blocks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[archsearch.blocks]\ntwin = my_blocks:twin\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "name: s\nsweep: {block: [residual, twin]}\n"
    with pytest.raises(StudyError, match="must be one of plain, residual, dense, highway, grouped, got twin"):
        parse(text)
    from archsearch.architecture import definitions

    monkeypatch.setattr(definitions, "_blocks", definitions._blocks)
    try:
        labels = [cell.label for cell in parse(text + "plugins: [my_blocks]\n").cells()]
    finally:
        definitions._blocks.pop("twin", None)
    assert labels == ["block=residual", "block=twin"]


def test_validation_imports_neither_torch_nor_optuna_nor_mlflow(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(EXAMPLE)
    code = (
        "import sys; from archsearch.study import load_study, study_schema; "
        f"load_study({str(path)!r}).cells(); study_schema(); "
        "heavy = {'torch', 'pytorch_lightning', 'lightning_fabric', 'optuna', 'mlflow', 'numpy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
