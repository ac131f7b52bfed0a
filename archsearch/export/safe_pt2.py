"""Looks into a .pt2 before torch opens it: `torch.export.load` runs what a file tells it to.

It unpickles weights, constants and example inputs whose entries ask for it, loads compiled libraries, looks
up operators by any dotted name below ``torch``, and evaluates shape expressions as Python (torch 2.13:
export/pt2_archive/_package.py, _export/serde/serialize.py). What `archsearch export` writes needs none of
that, so whatever asks for it is refused.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from archsearch.errors import ExportError

# Below the archive's own folder.
_ALLOWED = re.compile(
    r"data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder"
    r"|\.data/(version|serialization_id)|extra/\w+"
)
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_GRAPH = "models/model.json"
_EXAMPLES = "data/sample_inputs/model.pt"
# Of torch's own operators from_file alone reaches beyond its inputs.
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.(?!from_file)\w+\.\w+|_operator\.(add|sub|mul|floordiv|mod|eq|ne|ge|gt|le|lt|getitem)"
)
# Symbols, numbers and arithmetic of them as sympy prints them: no dot, no underscore, no other name.
_EXPRESSION = re.compile(
    r"(\b(s\d+|u\d+|\d+|Symbol|Integer|Add|Mul|FloorDiv|Mod|positive|nonnegative|integer|True|False)\b"
    r"|[-+*/(),=' ])*"
)


def check_pt2(path: Path) -> None:
    """Check that opening a .pt2 can run nothing but its graph.

    Raises:
        ExportError: It is no such archive, or asks for pickle or for code.
    """
    try:
        # The reader that torch.export.load uses: two readers may see two archives in one file. When that one
        # fails it tries Python's, which therefore must see the same.
        reader: Any = torch._C.PyTorchFileReader(str(path))
        entries = reader.get_all_records()
        with zipfile.ZipFile(path) as archive:
            listed = [name.partition("/")[2] for name in archive.namelist()]
        if sorted(listed) != sorted(entries) or len(set(entries)) < len(entries):
            raise _refused(path, "it can be read in two ways")
        for entry in entries:
            if not _ALLOWED.fullmatch(entry):
                raise _refused(path, f"it holds {entry}")
        for config in _CONFIGS:
            _check_config(path, json.loads(reader.get_record(config)))
        _check_graph(path, json.loads(reader.get_record(_GRAPH)))
        _check_examples(path, reader.get_record(_EXAMPLES))
    except (RuntimeError, OSError, zipfile.BadZipFile, LookupError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ExportError(
            f"must be a whole archive of torch.export ({reason})",
            path=str(path),
            fix="Export the network again.",
        ) from error


def _check_config(path: Path, config: Any) -> None:
    for name, entry in config["config"].items():
        if entry["use_pickle"]:
            raise _refused(path, f"{name} asks for pickle")
        if "/" in entry["path_name"] or not entry["path_name"].startswith(("weight_", "tensor_")):
            raise _refused(path, f"{name} asks for {entry['path_name']}")


def _check_graph(path: Path, graph: Any) -> None:
    """Walk all values; without recursion, for graphs of deep networks."""
    pending = [("", graph)]
    while pending:
        key, value = pending.pop()
        if isinstance(value, dict):
            pending += value.items()
        elif isinstance(value, list):
            pending += [(key, item) for item in value]
        elif key in ("target", "as_operator") and isinstance(value, str):
            if not _OPERATOR.fullmatch(value):
                raise _refused(path, f"its graph calls {value}")
        elif key == "expr_str" and not _EXPRESSION.fullmatch(str(value)):
            raise _refused(path, f"its graph computes {value}")


def _check_examples(path: Path, content: bytes) -> None:
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        # torch.export.load would then unpickle it without that guard
        raise _refused(path, "its example inputs ask for pickle") from error


def _refused(path: Path, why: str) -> ExportError:
    return ExportError(
        f"must be a .pt2 that runs nothing but its graph ({why})", path=str(path), fix="Do not open it."
    )
