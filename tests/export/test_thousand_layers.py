"""A residual network of 1,004 layers leaves without an error of recursion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from archsearch.architecture import resolve_architecture
from archsearch.export import write_export
from archsearch.export.folder import Compared, load_raw
from tests.export.networks import describe


# ONNX takes minutes for so many layers, most of them in torch's own passes; see docs/export.md.
@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("formats", [("python",), ("pt2",)], ids=lambda formats: formats[0])
def test_a_thousand_layers_leave(formats: tuple[str, ...], tmp_path: Path) -> None:
    # branches that begin at 0 keep the signal as it is through untrained layers
    architecture = resolve_architecture({"depth": 1004, "width": 2, "initialization": "zero_gamma"})
    network = describe(architecture, shape=(1, 8, 8), formats=formats)
    last_norms = ("branch.4.weight", "branch.4.bias")
    weights = {n: w * 0.05 if n.endswith(last_norms) else w for n, w in network.weights.items()}
    images = torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8)
    found: dict[str, float] = {}

    def finish(folder: Path, compared: Compared) -> None:
        found.update(compared.differences)

    write_export(replace(network, weights=weights), images, tmp_path / "net", finish)
    raw, _ = load_raw(tmp_path / "net")
    with torch.no_grad():
        logits = raw(images)

    assert found == {"safetensors": 0.0, formats[0]: 0.0}
    assert logits.isfinite().all()
    assert len(logits.unique(dim=0)) == len(images)
    if formats == ("python",):
        # no longer than that of a shallow one
        assert len((tmp_path / "net" / "model.py").read_text().splitlines()) < 130
