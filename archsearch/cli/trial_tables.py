"""All about one trial, on a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from archsearch.application.trial_view import TrialView
from archsearch.cli.measures import name_measure, show_measure
from archsearch.cli.printing import build_console, print_fields, print_grid, print_paragraph, print_table
from archsearch.cli.progress_lines import say_clock
from archsearch.cli.sparkline import draw_sparkline, shorten_curve, span_values
from archsearch.journal import ReplicateHistory, TrialHistory
from archsearch.study import label_values

_CURVES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
_LONGEST_LINE = 40
_ENDS = ("train_error", "val_error", "test_error")


def print_trial(view: TrialView) -> None:
    """Print what it is, how it was trained, how that went, and where what is left of it stands."""
    trial = view.trial
    outcome = trial.outcome or "unfinished"
    print_paragraph(f"Trial {trial.number} of {view.study}: {trial.name}, {outcome}{_say_reason(trial)}")
    fields = {
        "phase": trial.phase,
        "cell": label_values(trial.cell) if trial.cell else "",
        "sampled": label_values(trial.values) if trial.values else "",
        "depth asked for": str(trial.requested_depth or ""),
        "began": _say_time(trial.created),
        "ended": _say_time(trial.told),
        "parameters": "" if trial.parameters is None else f"{trial.parameters:,}",
        "MACs": "" if trial.macs is None else f"{trial.macs:,}",
        "activations": "" if trial.activation_mib is None else f"{trial.activation_mib:,.3g} MiB",
    }
    print_fields({name: value for name, value in fields.items() if value})
    for title, values in (
        ("Architecture", {**trial.architecture, "id": trial.architecture_id}),
        ("Training", trial.training),
        ("Data", {**trial.data, "fingerprint": trial.data_fingerprint[:12]}),
        ("Metrics", _metrics(trial)),
    ):
        if values:
            print_grid(title, {name: _say(value) for name, value in values.items() if value != ""})
    _print_curves(trial)
    _print_replicates(view)
    for number, ran in view.provenance.items():
        print_grid(f"Provenance, session {number}", ran)
    _print_places(view)


def _say_reason(trial: TrialHistory) -> str:
    if trial.repeated_of is not None:
        return f": the same as trial {trial.repeated_of}"
    # What follows the first line of a failure is its traceback.
    return f": {trial.reason.splitlines()[0]}" if trial.reason else ""


def _say_time(time_s: float | None) -> str:
    return "" if time_s is None else f"{datetime.fromtimestamp(time_s):%Y-%m-%d %H:%M:%S}"


def _metrics(trial: TrialHistory) -> dict[str, str]:
    metrics = trial.metrics
    return {
        name: show_measure(name, value, metrics.get(f"{name}_std"))
        for name, value in metrics.items()
        if not name.endswith("_std") and name not in ("depth", "parameters", "macs", "activation_mib")
    }


def _say(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return label_values(value)
    return ", ".join(map(_say, value)) if isinstance(value, list | tuple) else str(value)


def _print_curves(trial: TrialHistory) -> None:
    ascii_only = build_console().options.ascii_only
    rows = []
    for metric in _CURVES:
        curves = {
            seed: [epoch.get(metric) for epoch in replicate.epochs]
            for seed, replicate in trial.replicates.items()
        }
        span = span_values(curves.values())
        for seed, values in curves.items():
            known = [value for value in values if value is not None]
            if known:
                line = draw_sparkline(shorten_curve(values, _LONGEST_LINE), span, ascii_only=ascii_only)
                first, last = show_measure(metric, known[0]), show_measure(metric, known[-1])
                rows.append([name_measure(metric), str(seed), line, first, last])
    if rows:
        click.echo()
        epochs = max(len(replicate.epochs) for replicate in trial.replicates.values())
        title = f"By epoch, {epochs} at most (one scale a metric)"
        print_table(["metric", "seed", "curve", "first", "last"], rows, title=title)


def _print_replicates(view: TrialView) -> None:
    replicates = view.trial.replicates.values()
    if not replicates:
        return
    measures = [name for name in _ENDS if any(name in {**r.metrics, **r.test} for r in replicates)]
    header = ["seed", "outcome", "epochs", *map(name_measure, measures), "time", "attempts"]
    rows = [
        [
            str(replicate.seed),
            replicate.outcome or "under way",
            str(len(replicate.epochs)),
            *(_end(replicate, name) for name in measures),
            _say_duration(replicate),
            str(replicate.attempts or ""),
        ]
        for replicate in replicates
    ]
    click.echo()
    print_table(header, rows, title="Replicates")
    for replicate in replicates:
        for text in filter(None, (replicate.reason, replicate.note)):
            print_paragraph(f"Seed {replicate.seed}: {text}")


def _end(replicate: ReplicateHistory, measure: str) -> str:
    found = {**replicate.metrics, **replicate.test}.get(measure)
    return "" if found is None else show_measure(measure, found)


def _say_duration(replicate: ReplicateHistory) -> str:
    seconds = replicate.metrics.get("train_time_s")
    return "" if seconds is None else say_clock(seconds) if seconds >= 60 else f"{seconds:.1f} s"


def _print_places(view: TrialView) -> None:
    places = {
        f"weights, seed {seed}": str(path) if path else "not kept" for seed, path in view.weights.items()
    }
    if view.mlflow_uri:
        places["MLflow"] = f"{view.mlflow_uri}, experiment {view.study}, run {view.run_name!r}"
    click.echo()
    print_fields(places)
