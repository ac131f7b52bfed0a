"""What comes out needs nothing of ours: fresh virtual environments compute what the trained networks do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import archsearch
from archsearch.data import load_dataset
from archsearch.data.module import Normalisation
from archsearch.study.settings import DataSettings
from tests.command_line import call
from tests.export.test_folder import sum_again

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
FAMILIES = ("plain", "residual", "dense", "highway", "grouped")
IMAGES = 256

FAMILY_STUDY = """
name: families
data: {name: digits, train_limit: 256}
architecture: {width: 4, cardinality: 2}
sweep: {block: [plain, residual, dense, highway, grouped]}
training: {epochs: 1, batch_size: 64, precision: '32'}
execution: {executor: inline}
tracking: {enabled: false}
"""

MLP_STUDY = """
name: mlp
data: {name: digits, train_limit: 256}
architecture: {layout: mlp, block: highway, depth: 5, width: 16}
training: {epochs: 1, batch_size: 64, precision: '32'}
execution: {executor: inline}
tracking: {enabled: false}
"""

# Run by the fresh environments: no archsearch, and no numpy beside torch.
WITH_TORCH = """
import importlib.util, sys, torch, warnings
from safetensors.torch import load_file

warnings.simplefilter("ignore")
assert not any(importlib.util.find_spec(name) for name in ("archsearch", "numpy", "onnxruntime"))
images, *folders = sys.argv[1:]
raw, found = load_file(images)["images"], {}
for folder in folders:
    spec = importlib.util.spec_from_file_location("model", f"{folder}/model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    weights = load_file(f"{folder}/model.safetensors")
    own = module.Network()
    own.load_state_dict(weights)
    with torch.no_grad():
        found[f"{folder}/safetensors"] = own.eval()(module.prepare(raw))
        found[f"{folder}/python"] = module.load()(module.prepare(raw))
        found[f"{folder}/pt2"] = torch.export.load(f"{folder}/model.pt2").module()(raw.float())
    assert module.predict(raw).argmax(1).equal(found[f"{folder}/python"].argmax(1))
torch.save(found, "with_torch.pt")
"""

WITH_ONNX = """
import importlib.util, sys, numpy, onnxruntime

assert not any(importlib.util.find_spec(name) for name in ("archsearch", "torch", "onnx"))
images, *folders = sys.argv[1:]
raw, found = numpy.load(images), {}
for folder in folders:
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    found[folder] = session.run(None, {"images": raw.astype("float32")})[0]
    few = session.run(None, {"images": raw[:3].astype("float32")})[0]
    assert numpy.allclose(few, found[folder][:3], atol=1e-4)
numpy.savez("with_onnx.npz", **found)
"""


def make_environment(folder: Path, *packages: str) -> Path:
    """Make a virtual environment that holds these packages alone; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*install, "--constraint", str(CONSTRAINTS), *packages], check=True)
    return python


def run_script(python: Path, script: str, *arguments: str, cwd: Path) -> None:
    # isolated: neither the folder nor PYTHONPATH may bring archsearch in
    command = [str(python), "-I", "-c", script, *arguments]
    answer = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six exported networks, each trained for an epoch, named by their block; mlp is one."""
    folder = tmp_path_factory.mktemp("fresh")
    for name, text in (("families", FAMILY_STUDY), ("mlp", MLP_STUDY)):
        (folder / f"{name}.yaml").write_text(text)
        answer = call("run", f"{name}.yaml", "--json", cwd=folder)
        assert answer.code == 0, answer.err
    places = [("families", number, block) for number, block in enumerate(FAMILIES)] + [("mlp", 0, "mlp")]
    for study, trial, place in places:
        answer = call("export", study, "--trial", trial, "--output", place, cwd=folder)
        assert (answer.code, answer.err) == (0, "")
        assert (folder / place / "model.onnx").is_file()
    return folder


@pytest.fixture(scope="module")
def images() -> Any:
    dataset = load_dataset(DataSettings(name="digits", train_limit=256))
    return dataset.test.images[:IMAGES], dataset


def expected_logits(folder: Path, raw: torch.Tensor, dataset: Any) -> torch.Tensor:
    normalised = Normalisation(dataset, torch.device("cpu"))(raw)
    with torch.inference_mode():
        return archsearch.load(folder)(normalised)


def test_a_fresh_environment_of_torch_and_safetensors_computes_the_same_bits(
    exported: Path, images: Any, tmp_path: Path
) -> None:
    raw, dataset = images
    save_file({"images": raw.contiguous()}, exported / "images.safetensors")
    python = make_environment(tmp_path / "environment", "torch", "safetensors")

    run_script(python, WITH_TORCH, "images.safetensors", *FAMILIES, "mlp", cwd=exported)

    found = torch.load(exported / "with_torch.pt", weights_only=True)
    assert len(found) == 18
    for place in (*FAMILIES, "mlp"):
        expected = expected_logits(exported / place, raw, dataset)
        for name in ("safetensors", "python", "pt2"):
            logits = found[f"{place}/{name}"]
            assert torch.equal(logits.argmax(1), expected.argmax(1)), (place, name)
            assert torch.allclose(logits, expected, atol=1e-5), (place, name)


def test_a_fresh_environment_of_onnxruntime_and_numpy_makes_the_same_predictions(
    exported: Path, images: Any, tmp_path: Path
) -> None:
    raw, dataset = images
    np.save(exported / "images.npy", raw.numpy())
    python = make_environment(tmp_path / "environment", "onnxruntime", "numpy")

    run_script(python, WITH_ONNX, "images.npy", *FAMILIES, "mlp", cwd=exported)

    found = np.load(exported / "with_onnx.npz")
    for place in (*FAMILIES, "mlp"):
        expected = expected_logits(exported / place, raw, dataset)
        logits = torch.from_numpy(found[place])
        assert torch.equal(logits.argmax(1), expected.argmax(1)), place
        largest = float(expected.abs().max().clamp_min(1))
        assert torch.allclose(logits, expected, atol=1e-4 * largest), place


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.onnx", r"model\.onnx: must be as it was exported"),
        ("model.pt2", r"model\.pt2: must be as it was exported"),
        ("confusion.png", r"confusion\.png: must be as it was exported"),
    ],
)
def test_a_truncated_file_is_found_by_verify(name: str, message: str, exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported / "residual", tmp_path / "net")
    path = folder / name
    path.write_bytes(path.read_bytes()[:-100])

    answer = call("verify", folder, cwd=tmp_path)

    assert answer.code == 2
    assert re.search(message, answer.err)
    assert "Traceback" not in answer.err


def test_a_file_altered_with_its_checksum_is_found_by_what_it_computes(
    exported: Path, tmp_path: Path
) -> None:
    whole = call("verify", exported / "residual", cwd=tmp_path)
    for name, alter, message in (
        ("model.onnx", lambda b: b[: len(b) // 2], r"model\.onnx: must be as it was exported"),
        (
            "model.onnx",
            lambda _: (exported / "plain/model.onnx").read_bytes(),
            r"model\.onnx: .*its logits differ",
        ),
        (
            "model.pt2",
            lambda _: (exported / "plain/model.pt2").read_bytes(),
            r"model\.pt2: .*its logits differ",
        ),
        ("model.py", lambda b: b + b"\n", r"model\.py: must .*it is not the source of this network"),
        ("model.safetensors", lambda b: b[:-4] + b"\0\0\0\x40", r"model\.safetensors: .*its logits differ"),
    ):
        folder = shutil.copytree(exported / "residual", tmp_path / f"altered-{name}", dirs_exist_ok=True)
        (folder / name).write_bytes(alter((folder / name).read_bytes()))
        sum_again(folder)

        answer = call("verify", folder, cwd=tmp_path)

        assert answer.code == 2, name
        assert re.search(message, answer.err), (name, answer.err)
    assert whole.code == 0
    assert whole.out.count("logits differ by") == 3


def test_a_missing_file_is_found_by_verify(exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported / "residual", tmp_path / "net")
    (folder / "model.py").unlink()

    answer = call("verify", folder, cwd=tmp_path)

    assert answer.code == 2
    assert "net: must hold model.py. Export the network again." in answer.err
