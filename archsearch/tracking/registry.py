"""MLflow's model registry: an exported ONNX file, with signature and example, and nothing pickled."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import TrackingError
from archsearch.tracking.address import hide_passwords, resolve_uri, sqlite_path

_REQUIREMENTS = ("onnx", "onnxruntime", "numpy")
_SETTINGS = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID")


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model.

    Attributes:
        uri: ``models:/name/number``.
    """

    name: str
    number: int
    uri: str

    def to_mapping(self) -> dict[str, Any]:
        """As JSON's values."""
        return asdict(self)


def register_model(
    onnx_file: Path,
    name: str,
    *,
    uri: str,
    experiment: str,
    example: NDArray[np.float32],
    tags: Mapping[str, str],
) -> ModelVersion:
    """Register an ONNX file that takes ``images`` and gives ``logits``, as a new version of a model.

    Args:
        onnx_file: The file.
        name: Of the registered model.
        uri: MLflow tracking URI.
        experiment: Name of the experiment that it is logged in.
        example: Input of one image, ``[1, …]``.
        tags: Of the version.

    Raises:
        TrackingError: MLflow cannot be reached, or refuses.
    """
    path = sqlite_path(resolve_uri(uri))
    # MLflow keeps a store by its URI: from another folder a relative one would still mean the first file
    store = resolve_uri(uri) if path is None else f"sqlite:///{path.absolute()}"
    with _quiet(), _settings_given_back():
        import mlflow
        import onnx
        from mlflow.exceptions import MlflowException
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        network = onnx.load(str(onnx_file))
        classes = network.graph.output[0].type.tensor_type.shape.dim[1].dim_value
        signature = ModelSignature(
            Schema([TensorSpec(np.dtype(np.float32), (-1, *example.shape[1:]), "images")]),
            Schema([TensorSpec(np.dtype(np.float32), (-1, classes), "logits")]),
        )
        try:
            mlflow.set_tracking_uri(store)
            mlflow.set_registry_uri(store)
            mlflow.set_experiment(experiment)
            logged = mlflow.onnx.log_model(
                network,
                name=name,
                signature=signature,
                input_example={"images": example},
                registered_model_name=name,
                # stated, or MLflow would run the model in another process to find them
                pip_requirements=[
                    f"{package}=={importlib.metadata.version(package)}" for package in _REQUIREMENTS
                ],
                onnx_execution_providers=["CPUExecutionProvider"],
                save_as_external_data=False,
            )
            number = int(logged.registered_model_version)
            for key, value in tags.items():
                mlflow.MlflowClient().set_model_version_tag(name, str(number), key, value)
        except MlflowException as error:
            reason = str(error).splitlines()[0]
            raise TrackingError(f"{hide_passwords(store)} does not register {name}: {reason}") from error
    return ModelVersion(name, number, f"models:/{name}/{number}")


@contextmanager
def _settings_given_back() -> Iterator[None]:
    """Put back where MLflow writes to, which it also keeps in the environment for whatever is called next."""
    before = {name: os.environ.get(name) for name in _SETTINGS}
    try:
        yield
    finally:
        import mlflow

        # None unsets, whatever their annotations say.
        mlflow.set_tracking_uri(before["MLFLOW_TRACKING_URI"])  # type: ignore[arg-type]
        mlflow.set_registry_uri(before["MLFLOW_REGISTRY_URI"])  # type: ignore[arg-type]
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to ourselves what MLflow says of its own doings."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        yield
