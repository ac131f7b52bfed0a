"""A study's text and values as they may be kept and shown: without passwords, and as text alone."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from archsearch.errors import StudyError, hide_passwords
from archsearch.study.yaml_reading import read_yaml

_ALIVE = re.compile(r"([\[\]`|\\])")


def publish_text(text: str, source: str) -> str:
    """Star out the passwords of a study's URIs, in values and in comments.

    Comments and layout stay, unless a password is written so that only a reader of YAML finds it (escaped, or
    over several lines): then the values alone are written, as JSON.
    """
    published = hide_passwords(text)
    values = _hidden(read_yaml(text, source).value)
    try:
        if read_yaml(published, source).value == values:
            return published
    except StudyError:
        pass
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is: no HTML, link, picture, table or code in it comes alive."""
    # A backslash before < is shown by MLflow's pages.
    return _ALIVE.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return hide_passwords(value) if isinstance(value, str) else value
