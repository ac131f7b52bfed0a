from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from archsearch.architecture import FIELDS
from archsearch.study import DataSettings, TrainingSettings, study_schema
from archsearch.study.yaml_reading import read_yaml
from tests.study.test_loading import EXAMPLE

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
VALIDATOR = Draft202012Validator(study_schema())


def faults(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(read_yaml(text, "s.yaml").value)]


def test_the_schema_is_valid_json_schema() -> None:
    Draft202012Validator.check_schema(json.loads(json.dumps(study_schema())))


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_shipped_studies_fit_the_schema(path: Path) -> None:
    assert faults(path.read_text()) == []


def test_the_example_of_the_design_fits_the_schema() -> None:
    assert faults(EXAMPLE) == []


@pytest.mark.parametrize(
    "line",
    [
        "trainig: {}",
        "training: {epochs: ten}",
        "training: {optimizer: adamm}",
        "architecture: {block: residul}",
        "architecture: resnet57",
        "sweep: {depth: []}",
        "sweep: {depth: 20}",
        "sweep: {training.learning_rat: [1]}",
        "search: {block: {low: 1, high: 2}}",
        "search: {width: {low: 1}}",
        "objectives: {val_accuracy: max}",
        "constraints: {parameters: 3}",
        "sampler: {name: tpe, n_warmup_steps: 3}",
        "pruner: medain",
        "prefilter: {score: synflow}",
        "prefilter: {score: accuracy, keep: 0.5}",
        "prefilter: {score: synflow, keep: 2}",
        "predictors: synflow",
        "match: {parameters: 3, macs: 4}",
        "budget: {hours: 0}",
        "execution: {workers: 0}",
    ],
)
def test_the_schema_refuses_what_a_study_refuses(line: str) -> None:
    assert faults(f"name: s\n{line}\n")


def test_every_field_is_there_with_its_doc() -> None:
    properties = study_schema()["properties"]
    assert all(part["description"] for part in properties.values())
    for key, names in (
        ("training", TrainingSettings.model_fields),
        ("data", DataSettings.model_fields),
        ("architecture", FIELDS),
    ):
        group = properties[key] if key == "training" else properties[key]["anyOf"][1]
        assert list(group["properties"]) == list(names)
        assert all(part["description"] for part in group["properties"].values())
        prefix = "" if key == "architecture" else f"{key}."
        assert {f"{prefix}{name}" for name in names} <= set(properties["search"]["properties"])


def test_the_schema_beside_the_shipped_studies_is_the_present_one() -> None:
    # Written by: archsearch schema > search_spaces/study.schema.json
    shipped = Path(__file__).parents[2] / "search_spaces" / "study.schema.json"
    assert json.loads(shipped.read_text(encoding="utf-8")) == study_schema()
