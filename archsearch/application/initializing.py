"""The studies that ship with archsearch, written where a person can run and change them."""

from __future__ import annotations

from pathlib import Path

import archsearch
from archsearch.errors import InputError
from archsearch.study.summary import read_question

QUICKSTART = "resnet_space.yaml"


def write_studies(folder: str | Path) -> dict[Path, str]:
    """Copy the studies that ship with archsearch, and their schema, into a folder.

    Returns:
        By the file of each study, its question.

    Raises:
        InputError: A file of one of these names is there already, and nothing was written; or the folder
            cannot be written.
    """
    folder = Path(folder)
    source = _find_shipped()
    shipped = {
        folder / file.relative_to(source): file.read_text(encoding="utf-8")
        for file in sorted(source.rglob("*"))
        if file.suffix in (".yaml", ".json")
    }
    present = [path.relative_to(folder).as_posix() for path in shipped if path.exists()]
    if present:
        rule = f"holds {', '.join(present)}, and nothing is overwritten"
        raise InputError(rule, path=str(folder), fix="Name another folder, or move them away.")
    try:
        for path, text in shipped.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        rule = f"must be writable ({error.strerror})"
        raise InputError(rule, path=str(folder), fix="Name another folder.") from error
    return {path: read_question(text) for path, text in shipped.items() if path.suffix == ".yaml"}


def _find_shipped() -> Path:
    """The folder in the package; of a checkout the one beside it, which the wheel takes it from."""
    package = Path(archsearch.__file__).parent
    packaged = package / "search_spaces"
    return packaged if packaged.is_dir() else package.parent / "search_spaces"
