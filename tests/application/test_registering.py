"""A network in MLflow's registry classifies images over HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import archsearch
from archsearch.data import load_dataset
from archsearch.data.module import Normalisation
from archsearch.study.settings import DataSettings
from tests.application.conftest import RunStudy

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

_LONGEST_START_S = 120


@contextmanager
def served(model_uri: str, study: RunStudy) -> Iterator[str]:
    """Serve a registered model as a person would, on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scripts = Path(sys.executable).parent
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", model_uri),
            *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)),
        ],
        cwd=study.folder,
        # MLflow starts uvicorn by its name
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": study.uri,
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _LONGEST_START_S
        while True:
            assert process.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(f"{address}/ping", timeout=2)
                break
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.3)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def ask(address: str, images: torch.Tensor) -> np.ndarray[Any, Any]:
    body = json.dumps({"inputs": {"images": images.tolist()}}).encode()
    request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return np.asarray(json.load(answer)["predictions"]["logits"])


@dataclass(frozen=True)
class Registered:
    """An exported network and the version that it became."""

    trial: int
    folder: Path
    version: str


@pytest.fixture(scope="module")
def front(swept: RunStudy, tmp_path_factory: pytest.TempPathFactory) -> list[Registered]:
    environment = dict(os.environ)
    answer = swept.call(
        *("export", "swept", "--output", tmp_path_factory.mktemp("registering") / "front", "--pareto"),
        *("--formats", "onnx", "--register", "digits", "--json"),
    )
    assert answer.code == 0, answer.err
    assert dict(os.environ) == environment, "whatever is called next would write into this store"
    networks = answer.json["networks"]
    assert len(networks) > 1
    assert answer.json["registered"] == [
        {"name": "digits", "number": number, "uri": f"models:/digits/{number}"}
        for number in range(1, len(networks) + 1)
    ]
    return [
        Registered(network["trial"], Path(network["output"]), str(version["number"]))
        for network, version in zip(networks, answer.json["registered"], strict=True)
    ]


def test_a_registered_network_classifies_real_images_over_http(
    swept: RunStudy, front: list[Registered]
) -> None:
    dataset = load_dataset(DataSettings(name="digits", train_limit=256))
    images = dataset.test.images[:16]
    normalised = Normalisation(dataset, torch.device("cpu"))(images)
    with torch.inference_mode():
        expected = archsearch.load(front[0].folder)(normalised).numpy()

    with served("models:/digits/1", swept) as address:
        logits = ask(address, images)
        one = ask(address, images[:1])

    assert np.allclose(logits, expected, atol=1e-4 * max(1, np.abs(expected).max()))
    assert (logits.argmax(1) == expected.argmax(1)).all()
    assert np.allclose(one, logits[:1], atol=1e-4)


def test_what_is_registered_holds_signature_and_example_and_no_pickle(
    swept: RunStudy, front: list[Registered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    # set_tracking_uri sets it too, for whoever comes after this test
    monkeypatch.setenv("MLFLOW_TRACKING_URI", swept.uri)
    version = mlflow.MlflowClient(swept.uri, swept.uri).get_model_version("digits", "1")
    mlflow.set_tracking_uri(swept.uri)
    folder = Path(mlflow.artifacts.download_artifacts("models:/digits/1", dst_path=str(tmp_path)))

    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "model.onnx", "input_example.json"} <= names
    assert not any(name.endswith((".pkl", ".pth", ".pt", ".pickle")) for name in names)
    signature = mlflow.models.Model.load(folder).signature
    assert [(one.name, one.type, one.shape) for one in (*signature.inputs, *signature.outputs)] == [
        ("images", np.float32, (-1, 1, 8, 8)),
        ("logits", np.float32, (-1, 10)),
    ]
    assert version.tags["archsearch.study"] == "swept"
    assert version.tags["archsearch.classes"] == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"


def test_each_network_of_a_front_is_a_version_of_its_own(swept: RunStudy, front: list[Registered]) -> None:
    import mlflow

    client = mlflow.MlflowClient(swept.uri, swept.uri)
    for one in front:
        tags = client.get_model_version("digits", one.version).tags
        told = json.loads((one.folder / "metrics.json").read_text())
        assert tags["archsearch.trial"] == str(told["trial_number"]) == str(one.trial)
        assert tags["archsearch.architecture_id"] == told["architecture_id"]
        assert float(tags["test_accuracy"]) == pytest.approx(told["test"]["accuracy"], abs=1e-4)


def test_a_network_exported_without_onnx_is_not_registered(swept: RunStudy, tmp_path: Path) -> None:
    answer = swept.call(
        "export", "swept", "--output", tmp_path / "net", "--formats", "python", "--register", "digits"
    )

    assert answer.code == 2
    assert "--register needs onnx among --formats." in answer.err
    assert not (tmp_path / "net").exists()
