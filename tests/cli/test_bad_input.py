"""What a person may get wrong: said in one paragraph with exit code 2, and nothing is written."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archsearch.journal import RunFolderLock
from tests.command_line import call, call_apart

STUDIES = {
    "a wrong type": (
        "training: {epochs: many}",
        "s.yaml:2: training.epochs: must be an integer from 1 to 1_000_000, got many.",
    ),
    "an unknown key": (
        "trainig: {epochs: 3}",
        "s.yaml:2: trainig: is unknown here. Did you mean 'training'?",
    ),
    "an unknown setting": (
        "training: {epoch: 3}",
        "s.yaml:2: training.epoch: is unknown here. Did you mean 'epochs'?",
    ),
    "a misspelt block": ("architecture: {block: residul}", "got residul. Did you mean 'residual'?"),
    "a depth that no layout allows": (
        "architecture: {depth: 21}",
        "s.yaml:2: architecture.depth: must be 6n+2 for basic cifar blocks, got 21. Nearest: 20, 26.",
    ),
    "a cardinality that does not divide": (
        "architecture: {block: grouped, width: 9, cardinality: 4}",
        "architecture.cardinality: must divide twice the width (18), got 4.",
    ),
    "a condition on no field": (
        "trials: 2\nsearch:\n  shortcut: {choice: [pad], when: {blck: residual}}",
        "s.yaml:4: search.shortcut.when.blck: is no field of architecture, training or data. Did you mean",
    ),
    "an empty choice": ("sweep: {depth: []}", "s.yaml:2: sweep.depth: must hold at least one value, got []."),
    "low above high": (
        "trials: 2\nsearch: {width: {low: 9, high: 3}}",
        "s.yaml:3: search.width.high: must be above low, which is 9, got 3.",
    ),
    "a field that the block does not use": (
        "architecture: {block: plain, shortcut: pad}",
        "s.yaml:2: architecture.shortcut: must be left out: no network of this study uses it.",
    ),
    "a missing data folder": (
        "data: {name: image_folder, root: /nowhere/at/all}",
        "s.yaml: data.root: must be a folder that holds train/<class>/*.jpg (or .png …), got '/nowhere",
    ),
    "one class": (
        "data: {name: image_folder, root: one}",
        "must hold a folder for each of at least two classes, got ['only'].",
    ),
    "a broken image": (
        "data: {name: image_folder, root: broken}",
        "train/b/4.png: must be an image that can be decoded",
    ),
    "arrays of a wrong shape": (
        "data: {name: arrays, root: wrong.npz}",
        "s.yaml: wrong.npz:y: must hold a label for each of 30 images, got 40.",
    ),
    "a key twice": ("seed: 1\nseed: 2", "s.yaml:3: seed: must be written once, but line 2 holds it too."),
    "no such baseline": (
        "include: [resnet21]",
        "s.yaml:2: include[0]: must be the name of a published network",
    ),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data that are wrong in one way each."""
    folder = tmp_path_factory.mktemp("place")
    generator = np.random.default_rng(0)
    for name in ("one/train/only", "broken/train/a", "broken/train/b"):
        (folder / name).mkdir(parents=True)
        for index in range(20):
            pixels = generator.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    (folder / "broken/train/b/4.png").write_bytes(b"no image")
    labels = np.zeros(40, dtype=np.int64)
    np.savez(folder / "wrong.npz", x=np.zeros((40, 3, 3), dtype=np.uint8)[:30], y=labels)
    return folder


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("wrong", STUDIES)
def test_a_wrong_study_is_answered_with_place_rule_and_fix(wrong: str, command: str, place: Path) -> None:
    lines, message = STUDIES[wrong]
    (place / "s.yaml").write_text(f"name: s\n{lines}\n")
    before = sorted(place.iterdir())

    answer = call(command, "s.yaml", cwd=place)

    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert answer.err.startswith("archsearch: ")
    assert answer.err.count("\n") == 1
    assert sorted(place.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "missing.yaml"], "archsearch: missing.yaml: cannot be read: No such file or directory."),
        (["run"], "archsearch: Missing argument 'STUDY.yaml'. See: archsearch run --help"),
        (["ru"], "archsearch: There is no command 'ru'. Did you mean 'run'? See: archsearch --help"),
        (["frobnicate"], "archsearch: There is no command 'frobnicate'. See: archsearch --help"),
        (["run", "--worker", "3"], "archsearch: No such option '--worker'. See: archsearch run --help"),
        (["report", "nothing"], "archsearch: STUDY: must be the name of a study that was run, got nothing."),
        (["sync", "nothing"], "archsearch: STUDY: must be the name of a study that was run, got nothing."),
        (["ui", "nothing"], "archsearch: STUDY: must be the name of a study that was run, got nothing."),
        (["export", "nothing"], "archsearch: Missing option '--output'. See: archsearch export --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_is_answered_in_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    answer = call(*arguments, cwd=tmp_path)

    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert message in answer.err
    assert list(tmp_path.iterdir()) == []


def test_a_yaml_bomb_is_answered_at_once(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (tmp_path / "bomb.yaml").write_text("\n".join(levels) + "\n")
    call("run", "bomb.yaml", cwd=tmp_path)

    start = time.process_time()
    answer = call("run", "bomb.yaml", cwd=tmp_path)

    assert time.process_time() - start < 2
    assert answer.code == 2
    assert "bomb.yaml:4: must hold at most 5000 values." in answer.err


STUDY = "name: held\nsearch: {depth: [8, 14]}\ntrials: 2\ntraining: {epochs: 1}\n"


def test_a_second_conductor_is_told_who_holds_the_study(tmp_path: Path) -> None:
    (tmp_path / "held.yaml").write_text(STUDY)

    with RunFolderLock(tmp_path / "runs" / "held"):
        answer = call("run", "held.yaml", cwd=tmp_path)

    assert answer.code == 2
    assert "runs/held: must not be in use by another run" in answer.err
    assert f"process {os.getpid()} on " in answer.err
    assert not (tmp_path / "runs" / "held" / "journal.log").exists()


def test_a_read_only_run_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "held.yaml").write_text(STUDY)
    runs = tmp_path / "runs"
    runs.mkdir()
    if os.geteuid() == 0:
        # Root may write into any folder but one on a disk that is read-only.
        command = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(runs)]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            pytest.skip(f"a read-only disk cannot be mounted here: {mounted.stderr.strip()}")
    else:
        runs.chmod(0o500)
    try:
        answer = call("run", "held.yaml", cwd=tmp_path)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(runs)], check=True)
        else:
            runs.chmod(0o700)

    assert answer.code == 2
    assert "runs/held: must be writable" in answer.err
    assert answer.err.count("\n") == 1


def test_a_study_that_is_wrong_is_told_so_by_a_fresh_process_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("name: s\narchitecture: {depth: 21}\n")

    answer = call_apart("run", "s.yaml", cwd=tmp_path)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "archsearch: s.yaml:2: architecture.depth: must be 6n+2 for basic cifar blocks, got 21. "
        "Nearest: 20, 26.\n"
    )
