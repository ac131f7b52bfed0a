"""The ready-made pages of a study in MLflow: what depth does, how training went, the best, how all ended.

MLflow keeps a saved view as a tag of the experiment. The format is its web interface's own and documented
nowhere: this module alone knows it, MLflow's minor version is pinned for it, and a test watches it in a real
browser. Should it change, the views are what breaks, and the runs are as they were.

A saved view is ``{"name", "createdAt", "updatedAt", "state"}`` with ``state`` the deflated JSON of what the
page remembers. Pinned and expanded runs in it are ignored by the page; how many runs the page loads is not
in it at all (see `archsearch.tracking.pages`).
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_TAG = "mlflow.sharedViewState."
# Keys stand in links that people keep.
_DEPTH, _CURVES, _LEADERBOARD, _OUTCOMES = (
    "depth-vs-performance",
    "learning-curves",
    "leaderboard",
    "outcomes",
)
# Where the page puts a chart of each metric that the view does not show; shut, below what it does show.
_LEFTOVERS = "Model metrics"

_TRIALS = "tags.`archsearch.kind` = 'trial'"
# A trial that was stopped early has a validation error too, but none to be compared with those of the others.
_FINISHED = f"{_TRIALS} AND attributes.status = 'FINISHED'"

_FIRST_PARAMS = ("block", "depth", "width", "shortcut")
# The error is shown in place of the accuracy, which says the same.
_ACCURACY, _ERROR = "val_accuracy", "val_error"
_FIXED_COLUMNS = ("attributes.`Run Name`", "attributes.`Created`", "attributes.`Duration`")
_OUTCOME, _REASON, _PHASE = "archsearch.outcome", "archsearch.reason", "archsearch.phase"
_COLUMN_PIXELS = 95
_WIDE_PIXELS = {_FIXED_COLUMNS[0]: 290, f"tags.`{_REASON}`": 480}


def view_link(server: str, experiment_id: str) -> str:
    """Return the address of a study's first view: depth against performance."""
    query = f"compareRunsMode=CHART&viewStateShareKey={_DEPTH}&workflowType=machine_learning"
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?{query}"


def experiment_tags(
    created_ms: int,
    varied: Sequence[str],
    trials: Iterable[Mapping[str, str]],
    *,
    objectives: Mapping[str, str],
) -> dict[str, str]:
    """Return the tags that make an experiment open as a depth study.

    Args:
        created_ms: When the study began.
        varied: Params that the study sweeps or searches.
        trials: Params of each trial.
        objectives: Metrics that the study optimises, each with minimize or maximize.
    """
    params = [*_FIRST_PARAMS, *(name for name in varied if name not in _FIRST_PARAMS)]
    shown = [f"params.`{name}`" for name in params]
    ranks = _ranks(objectives)
    best_first = {"orderByKey": f"metrics.`{next(iter(ranks))}`", "orderByAsc": next(iter(ranks.values()))}
    measures = dict.fromkeys([*ranks, _ERROR, "train_error"])
    costs = [name for name in ("parameters", "macs") if name not in ranks]
    ranked = _columns([*_metrics(*measures), *shown, *_metrics(*costs), *_tags(_PHASE, _OUTCOME)])
    views = {
        _DEPTH: ("Depth vs performance", ranked | best_first | _depth_view(_axes(params, list(trials)))),
        _CURVES: ("Learning curves", ranked | best_first | _curves_view()),
        _LEADERBOARD: ("Leaderboard", ranked | best_first | _search(_FINISHED)),
        _OUTCOMES: ("Outcomes", _columns([*_tags(_REASON), *_metrics(_ERROR), *shown]) | _outcomes_view()),
    }
    # The latest stands first in MLflow's list.
    tags = {
        f"{_TAG}{key}": _encode(name, state, created_ms + len(views) - place)
        for place, (key, (name, state)) in enumerate(views.items())
    }
    # Else MLflow asks, at the first visit, whether this is about language models.
    return tags | {"mlflow.experimentKind": "custom_model_development"}


def _ranks(objectives: Mapping[str, str]) -> dict[str, bool]:
    """Return the metrics by which trials are ranked, each with whether less is better."""
    ranks = {
        _ERROR if name == _ACCURACY else name: name == _ACCURACY or aim == "minimize"
        for name, aim in objectives.items()
    }
    return ranks or {_ERROR: True}


def _axes(names: Sequence[str], trials: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the params that differ and that every trial has: a trial without one would not be drawn."""
    axes = [name for name in names if all(name in params for params in trials)]
    return [name for name in axes if len({params[name] for params in trials}) > 1] or ["depth"]


def _depth_view(axes: Sequence[str]) -> dict[str, Any]:
    charts = [
        _scatter("depth", "val_error"),
        _scatter("depth", "train_error"),
        _scatter("parameters", "val_error"),
        {
            "type": "PARALLEL",
            "selectedParams": list(axes),
            "selectedMetrics": ["val_error"],
            "showAllRuns": True,
        },
        {"type": "BAR", "metricKey": "val_error"},
    ]
    # The charts need the room; a point tells its name to the mouse.
    return _charts("Depth vs performance", charts) | _search(_FINISHED) | {"runListHidden": True}


def _curves_view() -> dict[str, Any]:
    # A deep network without shortcuts begins with losses beyond any linear axis.
    scales = {"train_loss": "log", "val_loss": "log", "train_accuracy": "linear", "val_accuracy": "linear"}
    charts = [
        {
            "type": "LINE",
            "metricKey": metric,
            "selectedMetricKeys": [metric],
            "scaleType": scale,
            "lineSmoothness": 0,
            "xAxisKey": "step",
        }
        for metric, scale in scales.items()
    ]
    # More than twenty lines cannot be told apart: those of the best are drawn, and others can be switched on.
    return _charts("Learning curves", charts) | _search(_TRIALS) | {"runsHiddenMode": "FIRST_20_RUNS"}


def _outcomes_view() -> dict[str, Any]:
    # Pruned and failed runs have the same mark in MLflow's table.
    by_outcome = {"mode": "tag", "groupByData": _OUTCOME}
    return _search(_TRIALS) | {
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [by_outcome]},
        # From the last of the alphabet: the complete ones, most of all, stand below the others.
        "orderByKey": f"tags.`{_OUTCOME}`",
        "orderByAsc": False,
    }


def _metrics(*names: str) -> list[str]:
    return [f"metrics.`{name}`" for name in names]


def _tags(*names: str) -> list[str]:
    return [f"tags.`{name}`" for name in names]


def _columns(columns: Sequence[str]) -> dict[str, Any]:
    return {
        "selectedColumns": list(columns),
        "columnOrder": [*_FIXED_COLUMNS, *columns],
        "columnWidths": {**dict.fromkeys(columns, _COLUMN_PIXELS), **_WIDE_PIXELS},
    }


def _search(condition: str) -> dict[str, Any]:
    return {"searchFilter": condition}


def _scatter(x: str, y: str) -> dict[str, Any]:
    return {
        "type": "SCATTER",
        "xaxis": {"type": "METRIC", "key": x},
        "yaxis": {"type": "METRIC", "key": y},
    }


def _charts(section: str, charts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    sections = [
        {"uuid": section, "name": section, "display": True, "isReordered": True},
        {"uuid": _LEFTOVERS, "name": _LEFTOVERS, "display": False, "isReordered": False},
    ]
    placed = [
        {
            "uuid": f"{section} {number}",
            "metricSectionId": section,
            "deleted": False,
            "isGenerated": False,
            **chart,
        }
        for number, chart in enumerate(charts)
    ]
    return {
        "compareRunCharts": placed,
        "compareRunSections": sections,
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
        "runsHiddenMode": "SHOW_ALL",
    }


def _encode(name: str, state: Mapping[str, Any], time_ms: int) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    return json.dumps(
        {"name": name, "createdAt": time_ms, "updatedAt": time_ms, "state": f"deflate;{packed}"}
    )
