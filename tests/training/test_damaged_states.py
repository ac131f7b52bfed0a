"""A state that is damaged, or of another training, is noticed and not used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from archsearch.data import load_dataset
from archsearch.errors import CheckpointError
from archsearch.training import Compute, Job
from archsearch.training import checkpointing as rule
from archsearch.training.checkpoint import identify, read_checkpoint
from tests.training.conftest import small_job
from tests.training.test_checkpointing import (
    EPOCHS,
    cut_off,
    run,
    shown,
    works,
)


@pytest.fixture
def kept(tmp_path: Path) -> Job:
    """A job of which three epochs are kept."""
    job = works("residual", tmp_path, seeds=(5,))
    cut_off(job, 3)
    return job


def rewrite(job: Job, **changes: object) -> None:
    """Change something in a state, and leave the rest of the file as it is."""
    path = job.checkpointing.path
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    if "weight" in changes:
        name = next(name for name in tensors if name.startswith("network.") and name.endswith("weight"))
        tensors[name].view(-1)[0] += changes["weight"]
    if "seconds" in changes:
        state = json.loads(metadata["state"])
        state["figures"]["seconds"] = changes["seconds"]
        metadata["state"] = json.dumps(state)
    save_file(tensors, path, metadata)


def cut_in_half(job: Job) -> None:
    path = Path(job.checkpointing.path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(job: Job) -> None:
    path = Path(job.checkpointing.path)
    content = bytearray(path.read_bytes())
    content[-100] ^= 4
    path.write_bytes(content)


DAMAGES = {
    "cut short": cut_in_half,
    "a flipped bit": flip_a_bit,
    "empty": lambda job: Path(job.checkpointing.path).write_bytes(b""),
    "something else": lambda job: Path(job.checkpointing.path).write_bytes(b"\x80\x04K\x01." * 99),
    "another weight": lambda job: rewrite(job, weight=0.5),
    "another figure": lambda job: rewrite(job, seconds=1.0),
    "weights alone": lambda job: save_file(load_file(job.checkpointing.path), job.checkpointing.path),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_is_noticed(damage, kept: Job) -> None:
    identity = identify(kept, load_dataset(kept.data).fingerprint)
    assert read_checkpoint(kept.checkpointing.path, identity).epochs == 3
    damage(kept)
    with pytest.raises(CheckpointError, match="it is damaged"):
        read_checkpoint(kept.checkpointing.path, identity)


def test_a_training_with_a_damaged_state_begins_anew_and_says_so(kept: Job, tmp_path: Path) -> None:
    flip_a_bit(kept)
    reports, (result,) = run(kept)
    undisturbed, _ = run(works("residual", tmp_path / "whole", seeds=(5,)))
    assert shown(reports) == shown(undisturbed)
    assert not any(report.recalled for report in reports)
    assert result.note.startswith(
        "began anew, as an earlier attempt's state could not be used: it is damaged"
    )
    assert result.outcome == "complete"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 6}, "seed"),
        ({"compute": Compute(precision="bf16")}, "precision"),
        ({"training": {"epochs": 5}}, "training"),
        ({"data": {"train_limit": 299}}, "data"),
        ({"architecture": {"width": 5}}, "architecture"),
    ],
)
def test_a_state_of_another_training_is_not_used(changes, named: str, kept: Job) -> None:
    other = small_job(**{"training": {"epochs": EPOCHS}, **changes})
    assert other.replicate == (kept.trial, other.seed)
    with pytest.raises(CheckpointError, match=f"it is of another {named}$"):
        read_checkpoint(kept.checkpointing.path, identify(other, load_dataset(other.data).fingerprint))


def test_a_state_of_a_network_that_a_plugin_has_changed_is_not_used(kept: Job, monkeypatch) -> None:
    read = rule.read_checkpoint

    def read_less(*arguments):
        checkpoint = read(*arguments)
        return replace(checkpoint, network=dict(list(checkpoint.network.items())[1:]))

    monkeypatch.setattr(rule, "read_checkpoint", read_less)
    reports, (result,) = run(kept)
    assert [report.recalled for report in reports] == [False] * EPOCHS
    assert "it is of a network with other weights" in result.note
