"""What the text of a study says, in few words; none of it is validated."""

from __future__ import annotations

import json
from typing import Any

from archsearch.errors import StudyError
from archsearch.study.vocabulary import STUDY_KEYS
from archsearch.study.yaml_reading import read_yaml


def read_question(text: str) -> str:
    """Return the comment at the head of a study, up to its first line that is indented: a command, mostly."""
    words: list[str] = []
    for line in text.lstrip().splitlines():
        if not line.startswith("#") or line.startswith("#  "):
            break
        if not line.startswith("# yaml-language-server"):
            words.append(line.removeprefix("#").strip())
    return " ".join(filter(None, words))


def list_settings(text: str) -> dict[str, str]:
    """Return what stands under each key but the name, as YAML in one line; nothing of what is no YAML."""
    given = _read(text)
    if not isinstance(given, dict):
        return {}
    return {key: _write_flow(given[key]) for key in STUDY_KEYS if key in given and key != "name"}


def find_tracking_uri(text: str) -> str | None:
    """Return the tracking URI of a study, empty where it gives none; None where tracking is off."""
    given = _read(text)
    tracking = given.get("tracking") if isinstance(given, dict) else None
    if not isinstance(tracking, dict):
        return ""
    return str(tracking.get("uri") or "") if tracking.get("enabled", True) else None


def _read(text: str) -> Any:
    try:
        return read_yaml(text, "study").value
    except StudyError:
        return None


def _write_flow(value: Any) -> str:
    """``{choice: [pad, projection], when: {block: residual}}``."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_write_flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_write_flow, value))}]"
    return value if isinstance(value, str) and value else json.dumps(value)
