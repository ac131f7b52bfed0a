"""A residual network of 1,004 layers leaves in every format, without an error of recursion."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from archsearch.architecture import resolve_architecture
from archsearch.export import FORMATS, write_export
from archsearch.export.folder import Compared, load_raw
from tests.export.networks import describe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def test_a_thousand_layers_leave_in_every_format(tmp_path: Path) -> None:
    # branches that begin at 0 keep the signal as it is through untrained layers
    architecture = resolve_architecture({"depth": 1004, "width": 2, "initialization": "zero_gamma"})
    network = describe(architecture, shape=(1, 8, 8), formats=tuple(FORMATS))
    weights = {
        name: tensor * 0.05 if name.endswith(("branch.4.weight", "branch.4.bias")) else tensor
        for name, tensor in network.weights.items()
    }
    network = type(network)(**{**vars(network), "weights": weights})
    images = torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8)
    found: dict[str, float] = {}

    def finish(folder: Path, compared: Compared) -> None:
        found.update(compared.differences)

    write_export(network, images, tmp_path / "net", finish)
    raw, _ = load_raw(tmp_path / "net")
    with torch.no_grad():
        logits = raw(images)

    assert set(found) == {"safetensors", *FORMATS}
    assert logits.isfinite().all()
    # its source is no longer than that of a shallow one
    assert len((tmp_path / "net" / "model.py").read_text().splitlines()) < 130
