"""The sweep that would decide what a search over depth leaves open, as YAML."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from archsearch.architecture import nearest_depths, published_architecture
from archsearch.study.yaml_reading import read_yaml

SEEDS = 5
"""Enough to see a difference of two standard deviations between depths (see docs/statistics.md)."""

_MOST_DEPTHS = 5


def write_deciding_study(text: str, source: str) -> str:
    """Rewrite a study that searches depth into one that sweeps depth and block; the rest is as it was.

    What else it searched is searched in each cell, so that each depth is compared at its own best settings.

    Args:
        text: The study, which was valid when it ran.
        source: Its file, for messages.
    """
    study: dict[str, Any] = read_yaml(text, source).value
    search = dict(study.pop("search", {}))
    sweep = dict(study.pop("sweep", {}))
    block = _take(search, "block")
    if block is not None:
        sweep["block"] = block
    depth = _take(search, "depth")
    if depth is not None:
        sweep["depth"] = _depths(depth, {**_read_fields(study), **_first_block(sweep)})
    rewritten = {"name": f"{study.pop('name')[:94]}-sweep", **study, "sweep": sweep}
    if search:
        rewritten["search"] = search
    else:
        for key in ("trials", "sampler", "pruner", "scheduler", "prefilter", "warm_start"):
            rewritten.pop(key, None)
    if not isinstance(study.get("seeds"), list | dict) and (study.get("seeds") or 0) < SEEDS:
        rewritten["seeds"] = SEEDS
    return _dump(rewritten)


def _take(search: dict[str, Any], name: str) -> Any:
    return search.pop(name, search.pop(f"architecture.{name}", None))


def _read_fields(study: Mapping[str, Any]) -> dict[str, Any]:
    """What the study fixes of its architectures; of a published one what its depths depend on."""
    given = study.get("architecture") or {}
    if not isinstance(given, str):
        return dict(given)
    # another block that is swept has its own form where this one has the plain one
    fields = published_architecture(given).to_mapping()
    return {name: fields[name] for name in ("block", "layout", "bottleneck") if fields.get(name)}


def _depths(given: Any, architecture: Mapping[str, Any]) -> Any:
    """Choices as they are; of a range a few valid depths, evenly spaced in their logarithm."""
    if isinstance(given, list) or "choice" in given:
        return given
    low, high = given["low"], given["high"]
    wanted = [low * (high / low) ** (step / (_MOST_DEPTHS - 1)) for step in range(_MOST_DEPTHS)]
    found: list[int] = []
    for depth in map(round, wanted):
        nearest = [
            valid for valid in nearest_depths({**architecture, "depth": depth}) if low <= valid <= high
        ]
        found += [valid for valid in nearest[:1] or [depth] if valid not in found]
    return {"choice": found, "when": given["when"]} if "when" in given else found


def _first_block(sweep: Mapping[str, Any]) -> dict[str, Any]:
    blocks = sweep.get("block")
    if isinstance(blocks, dict):
        blocks = blocks.get("choice")
    return {"block": blocks[0]} if blocks else {}


def _dump(study: Mapping[str, Any]) -> str:
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 110
    stream = io.StringIO()
    yaml.dump(dict(study), stream)
    return stream.getvalue()
