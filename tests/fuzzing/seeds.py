"""What fuzzing begins with: real studies and journals, so that it need not find out what they look like."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from archsearch.architecture import FIELDS, published_names
from archsearch.study import study_schema
from tests.study.test_fuzz import STUDY
from tests.tracking.studies import varied_study

ROOT = Path(__file__).parents[2]
FINDINGS = Path(__file__).with_name("findings")


def list_seeds(target: str) -> Iterator[bytes]:
    """What a target's corpus begins with: examples, and all that was ever found."""
    yield from {"study": _studies, "journal": _journals, "architecture": _architectures}[target]()
    yield from (path.read_bytes() for path in list_findings(target))


def list_findings(target: str) -> list[Path]:
    """Files of inputs that once were answered wrongly."""
    return sorted((FINDINGS / target).glob("*"))


def list_words() -> list[str]:
    """Words of studies and journals, which bytes alone would hardly come upon."""
    words = {*published_names(), *FIELDS, "choice", "low", "high", "log", "step", "when", "$float"}

    def collect(schema: object) -> None:
        if isinstance(schema, dict):
            words.update(map(str, schema.get("properties", {})))
            words.update(str(value) for value in schema.get("enum", ()))
            for part in schema.values():
                collect(part)
        elif isinstance(schema, list):
            for part in schema:
                collect(part)

    collect(study_schema())
    words.update(("trial", "seed", "epoch", "metrics", "outcome", "told", "question", "looks", "replicate"))
    return sorted(word for word in words if word.isascii())


def _studies() -> Iterator[bytes]:
    yield STUDY
    for path in sorted((ROOT / "search_spaces").glob("*.yaml")):
        yield path.read_bytes()


def _journals() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        varied_study(Path(folder))
        sealed = (Path(folder) / "journal.log").read_bytes()
    # In lines as the target seals them, in one line as records that were written together, and as it is.
    bodies = [line[9:] for line in sealed.splitlines()]
    yield b"\n".join(bodies)
    yield b"[" + b",".join(bodies) + b"]"
    yield b"\n" + sealed
    first = {"n": 1, "t": 0.5, "kind": "study", "version": 1, "name": "s", "uid": "u"}
    yield json.dumps(first).encode()


def _architectures() -> Iterator[bytes]:
    generator = random.Random(0)
    for _ in range(200):
        yield bytes(generator.randrange(256) for _ in range(2 * len(FIELDS) + 4))
