"""MLflow's model registry: an exported ONNX file, with signature and example, and nothing pickled."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import TrackingError
from archsearch.tracking.address import hide_passwords, resolve_uri

_REQUIREMENTS = ("onnx", "onnxruntime", "numpy")


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
    import mlflow
    import onnx
    from mlflow.exceptions import MlflowException
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    shape = (-1, *example.shape[1:])
    network = onnx.load(str(onnx_file))
    classes = network.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype(np.float32), shape, "images")]),
        Schema([TensorSpec(np.dtype(np.float32), (-1, classes), "logits")]),
    )
    store = resolve_uri(uri)
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
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
            save_as_external_data=False,
        )
        number = int(logged.registered_model_version)
        client = mlflow.MlflowClient()
        for key, value in tags.items():
            client.set_model_version_tag(name, str(number), key, value)
    except MlflowException as error:
        raise TrackingError(f"{hide_passwords(store)} does not register the model: {error}") from error
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])
    return ModelVersion(name, number, f"models:/{name}/{number}")
