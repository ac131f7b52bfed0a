"""Exported networks in MLflow's model registry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from archsearch.application.exporting import Exported
from archsearch.errors import ExportError
from archsearch.export import FORMATS
from archsearch.journal import RunFolder
from archsearch.study import parse_study
from archsearch.tracking.registry import ModelVersion, register_model


def register_exports(
    study: str, exported: Sequence[Exported], name: str, *, runs_folder: str | Path = "runs"
) -> list[ModelVersion]:
    """Register the ONNX file of each export as a version of one model, in the study's store of MLflow.

    Raises:
        ExportError: One was exported without ONNX.
        TrackingError: MLflow cannot be reached, or refuses.
    """
    folder = RunFolder.find(study, runs_folder)
    uri = parse_study(folder.study.read_text(encoding="utf-8"), str(folder.study)).tracking.uri
    versions = []
    for one in exported:
        if "onnx" not in one.network.formats:
            raise ExportError(
                "must be exported with onnx to be registered",
                path="--register",
                got=name,
                fix="Add it to --formats.",
            )
        test = one.metrics["test"]
        tags = {
            "archsearch.study": str(one.metrics["study"]),
            "archsearch.trial": str(one.trial.number),
            "archsearch.seed": str(one.metrics["seed"]),
            "archsearch.architecture_id": one.network.architecture.id,
            "archsearch.classes": ", ".join(one.network.class_names)[:4000],
            "test_accuracy": f"{test['accuracy']:.4f}",
        }
        versions.append(
            register_model(
                one.folder / FORMATS["onnx"],
                name,
                uri=uri,
                experiment=str(one.metrics["study"]),
                example=one.example.numpy(),
                tags=tags,
            )
        )
    return versions
