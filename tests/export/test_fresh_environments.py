"""What comes out needs nothing of ours: fresh virtual environments compute what the trained networks do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from archsearch.architecture import resolve_architecture
from archsearch.data import Dataset, load_dataset
from archsearch.data.module import Normalisation
from archsearch.journal import RunFolder
from archsearch.models import build_network
from archsearch.study.settings import DataSettings
from tests.command_line import call
from tests.export.test_folder import sum_again

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
FAMILIES = ("plain", "residual", "dense", "highway", "grouped")
# Of each exported network its study and its trial there.
TRAINED = {**{block: ("families", number) for number, block in enumerate(FAMILIES)}, "mlp": ("mlp", 0)}
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

# Run by the fresh environments: no archsearch, and no numpy beside torch. The code of a card, for archsearch,
# model.py, model.pt2 and model.onnx in this order, is run as it stands there, in the folder.
WITH_TORCH = """
import contextlib, importlib.util, re, sys, torch, warnings
from pathlib import Path
from safetensors.torch import load_file

warnings.simplefilter("ignore")
assert not any(importlib.util.find_spec(name) for name in ("archsearch", "numpy", "onnxruntime"))
threads, images, *folders = sys.argv[1:]
torch.set_num_threads(int(threads))
sys.path.insert(0, "")
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
    _, python, pt2, _ = re.findall(r"```python(.*?)```", Path(folder, "MODEL_CARD.md").read_text(), re.DOTALL)
    names = {"raw": raw}
    sys.modules.pop("model", None)
    with contextlib.chdir(folder):
        exec(python, names)
        exec(pt2, names)
    found[f"{folder}/card's probabilities"] = names["probabilities"]
    found[f"{folder}/card's logits"] = names["logits"].detach()
torch.save(found, "with_torch.pt")
"""

WITH_ONNX = """
import contextlib, importlib.util, re, sys, numpy, onnxruntime
from pathlib import Path

assert not any(importlib.util.find_spec(name) for name in ("archsearch", "torch", "onnx"))
images, *folders = sys.argv[1:]
raw, found = numpy.load(images), {}
for folder in folders:
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    found[folder] = session.run(None, {"images": raw.astype("float32")})[0]
    *_, onnx = re.findall(r"```python(.*?)```", Path(folder, "MODEL_CARD.md").read_text(), re.DOTALL)
    names = {"raw": raw}
    with contextlib.chdir(folder):
        exec(onnx, names)
    assert (names["logits"] == found[folder]).all()
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
    for place, (study, trial) in TRAINED.items():
        answer = call("export", study, "--trial", trial, "--output", place, cwd=folder)
        assert (answer.code, answer.err) == (0, "")
        assert (folder / place / "model.onnx").is_file()
    return folder


@pytest.fixture(scope="module")
def images() -> tuple[torch.Tensor, Dataset]:
    dataset = load_dataset(DataSettings(name="digits", train_limit=256))
    raw = dataset.test.images[:IMAGES].contiguous()
    assert len(raw) == IMAGES
    return raw, dataset


def trained_logits(folder: Path, place: str, raw: torch.Tensor, dataset: Dataset) -> torch.Tensor:
    """What the network computes with the weights that its training left in the run folder."""
    study, number = TRAINED[place]
    run = RunFolder(folder / "runs" / study)
    trial = run.history().trials[number]
    (seed,) = trial.seeds
    network = build_network(
        resolve_architecture(trial.architecture), dataset.input_shape, len(dataset.classes)
    )
    network.load_state_dict(load_file(run.weights(number, seed)))
    with torch.inference_mode():
        return network.eval()(Normalisation(dataset, torch.device("cpu"))(raw))


def test_a_fresh_environment_of_torch_and_safetensors_computes_the_same_bits(
    exported: Path, images: tuple[torch.Tensor, Dataset], tmp_path: Path
) -> None:
    raw, dataset = images
    save_file({"images": raw}, exported / "images.safetensors")
    python = make_environment(tmp_path / "environment", "torch", "safetensors")

    # another number of threads would add in another order
    threads = str(torch.get_num_threads())
    run_script(python, WITH_TORCH, threads, "images.safetensors", *TRAINED, cwd=exported)

    found = torch.load(exported / "with_torch.pt", weights_only=True)
    assert len(found) == 5 * len(TRAINED)
    for place in TRAINED:
        expected = trained_logits(exported, place, raw, dataset)
        for name in ("safetensors", "python", "pt2", "card's logits"):
            assert torch.equal(found[f"{place}/{name}"], expected), (place, name)
        assert torch.equal(found[f"{place}/card's probabilities"], expected.softmax(1)), place


def test_a_fresh_environment_of_onnxruntime_and_numpy_makes_the_same_predictions(
    exported: Path, images: tuple[torch.Tensor, Dataset], tmp_path: Path
) -> None:
    raw, dataset = images
    np.save(exported / "images.npy", raw.numpy())
    python = make_environment(tmp_path / "environment", "onnxruntime", "numpy")

    run_script(python, WITH_ONNX, "images.npy", *TRAINED, cwd=exported)

    found = np.load(exported / "with_onnx.npz")
    for place in TRAINED:
        expected = trained_logits(exported, place, raw, dataset)
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
