"""The beginning of a study's journal: what the study is, and what it asks for."""

from __future__ import annotations

import importlib.metadata
import json
import uuid

from archsearch.application.provenance import find_versions
from archsearch.data import Dataset
from archsearch.errors import RunFolderError
from archsearch.journal import Journal, RunFolder
from archsearch.study import StudyConfig, check_growth


def open_study(study: StudyConfig, journal: Journal, folder: RunFolder, dataset: Dataset) -> None:
    """Begin a study's journal, or check that it is this study's, and record what is asked for by now.

    Raises:
        StudyError: It is another study.
        RunFolderError: It is a study of other data.
    """
    if journal.records:
        header = journal.records[0].fields
        check_growth(header["identity"], study)
        if header["data_fingerprint"] != dataset.fingerprint:
            raise RunFolderError(
                "holds a study of other data: the images, labels or split have changed since",
                path=str(folder.path),
                fix="Give the study a new name, or bring the old data back.",
            )
    else:
        journal.append(
            "study",
            uid=uuid.uuid4().hex,
            name=study.name,
            archsearch=importlib.metadata.version("archsearch"),
            identity=study.identity(),
            text=study.public_text,
            source=study.source,
            input_shape=dataset.input_shape,
            classes=dataset.num_classes,
            class_names=dataset.classes,
            train_images=len(dataset.train.labels),
            val_images=len(dataset.val.labels),
            data_fingerprint=dataset.fingerprint,
            objectives=dict(study.objectives),
            versions=find_versions(),
        )
    folder.save_study(study.public_text)
    _ask(study, journal)


def _ask(study: StudyConfig, journal: Journal) -> None:
    """Record what the study asks for by now: what it holds beside its identity may change and grow."""
    question = {
        "text": study.public_text,
        "source": study.source,
        "smallest_difference": study.smallest_difference,
        "seeds": {"fewest": len(study.seeds), "most": len(study.seeds) + len(study.more_seeds)},
        "cells": [dict(cell.values) for cell in study.cells()],
    }
    asked = [record.fields for record in journal.records if record.kind == "question"]
    if not asked or json.loads(json.dumps(question)) != asked[-1]:
        journal.append("question", **question)
