"""The report as one page of HTML that needs nothing but itself."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined

from archsearch.analysis.comparisons import CellComparison
from archsearch.analysis.depth_curve import MEASURES, DepthCurve, DepthPoint
from archsearch.analysis.predictor_ranks import PredictorRanks
from archsearch.analysis.recommendation import Recommendation
from archsearch.analysis.report_plots import Picture, data_name
from archsearch.analysis.verdict import Verdict
from archsearch.analysis.wording import p_value, taken_over
from archsearch.journal import StudyHistory, TrialHistory
from archsearch.statistics.intervals import mean_interval, share_interval
from archsearch.study import label_values

_TEMPLATE = "report.html.jinja"
# More rows or sentences than these are folded.
_MOST_OPEN, _MOST_VERDICTS = 40, 12
_MOST_COMPARISONS = 300
# Longer ones are a search's, whose networks stand in the table of all trials.
_LISTED_POINTS = 30


def write_page(
    path: Path,
    history: StudyHistory,
    *,
    curves: Sequence[DepthCurve],
    verdicts: Sequence[Verdict],
    comparisons: Sequence[CellComparison],
    recommendation: Recommendation | None,
    pictures: Sequence[Picture],
    predictors: Sequence[PredictorRanks] = (),
) -> None:
    """Write the page; the file is there in full or not at all."""
    environment = Environment(
        loader=PackageLoader("archsearch.analysis", "."), autoescape=True, undefined=StrictUndefined
    )
    header = history.header
    text = environment.get_template(_TEMPLATE).render(
        title=header["name"],
        lead=_lead(history),
        verdicts=verdicts,
        recommendation=recommendation,
        warnings=[(verdict.curve, text) for verdict in verdicts for text in verdict.warnings],
        figures=[_to_mapping(picture) for picture in pictures],
        cells=[
            _cell(curve, point, history.trials[point.trial].val_images)
            for curve in curves
            if len(curve.points) <= _LISTED_POINTS
            for point in curve.points
        ],
        comparisons=_clearest(comparisons),
        all_comparisons=len(comparisons),
        predictors=predictors,
        rejected=_count_rejected(history),
        trials=[_trial(trial) for trial in sorted(history.trials.values(), key=_order)],
        origin=_origin(history),
        study_text=history.question.get("text", header.get("text", "")),
        source=history.question.get("source") or "study.yaml",
        p=p_value,
        most_open=_MOST_OPEN,
        most_verdicts=_MOST_VERDICTS,
    )
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _lead(history: StudyHistory) -> str:
    trials = list(history.trials.values())
    images = _span(trial.train_images for trial in trials)
    classes = _span(trial.classes for trial in trials)
    told = [f"{images} training images"] * bool(images) + [f"{classes} classes"] * bool(classes)
    data = data_name(history) + (f" ({', '.join(told)})" if told else "")
    state = history.finished or "not finished: what is shown here is what there is so far"
    return f"{len(trials)} trials on {data}; {state}. {taken_over(history)}".strip()


def _span(figures: Iterable[int | None]) -> str:
    """Say from which to which number they go; empty where none is known."""
    known = [figure for figure in figures if figure is not None]
    if not known:
        return ""
    least, most = min(known), max(known)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _to_mapping(picture: Picture) -> dict[str, str]:
    buffer = io.StringIO()
    # Texts stay texts, which are smaller and can be read aloud and searched.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "archsearch"}):
        picture.figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    return {
        "heading": picture.heading,
        "caption": picture.caption,
        "description": picture.description,
        # without the XML declaration, which has no place within a page
        "svg": svg[svg.index("<svg") :],
    }


def _count_rejected(history: StudyHistory) -> int:
    """How many proposals a prefilter held for not worth training."""
    # what breaks a constraint has no score
    return sum(trial.score is not None and trial.outcome == "infeasible" for trial in history.trials.values())


def _clearest(comparisons: Sequence[CellComparison]) -> list[CellComparison]:
    """Of more comparisons than anybody reads those with the smallest p values, order kept."""
    last = sorted(comparison.p_adjusted for comparison in comparisons)[:_MOST_COMPARISONS][-1:]
    return [one for one in comparisons if one.p_adjusted <= last[0]][:_MOST_COMPARISONS]


def _cell(curve: DepthCurve, point: DepthPoint, val_images: int | None) -> dict[str, Any]:
    seeds = images = ""
    if "val_error" in point.errors:
        found = mean_interval(point.errors["val_error"])
        if found.low is not None and found.high is not None:
            seeds = f"{max(0.0, found.low):.2%} to {min(1.0, found.high):.2%}"
        if val_images:
            low, high = share_interval(found.mean, val_images)
            images = f"{low:.2%} to {high:.2%}"
    errors = {
        measure: _error(point.mean(measure), point.std(measure)) if measure in point.errors else ""
        for measure in MEASURES
    }
    return {
        "curve": curve.label,
        "network": point.name,
        "depth": point.depth,
        "parameters": point.parameters,
        "macs": point.macs,
        "latency": "" if point.latency_ms is None else f"{point.latency_ms:.3g} ms",
        "seeds": max(map(len, point.errors.values()), default=0),
        "failed": point.failed or "",
        "over_seeds": seeds,
        "over_images": images,
        **errors,
    }


def _error(mean: float, std: float | None) -> str:
    return f"{mean:.2%}" if std is None else f"{mean:.2%} ± {std:.2%}"


def _order(trial: TrialHistory) -> tuple[float, int]:
    return (trial.metrics.get("val_error", 2.0), trial.number)


def _trial(trial: TrialHistory) -> dict[str, Any]:
    shown = {name: trial.metrics.get(name) for name in ("val_error", "train_error")}
    return {
        "number": trial.number,
        "name": trial.name,
        "phase": trial.phase,
        "settings": label_values({**trial.cell, **trial.values}),
        "outcome": f"{trial.outcome or 'under way'}{f': {trial.reason}' if trial.reason else ''}",
        **{name: "" if value is None else f"{value:.2%}" for name, value in shown.items()},
    }


def _origin(history: StudyHistory) -> Mapping[str, str]:
    header, compute = history.header, history.compute or {}
    versions = ", ".join(f"{name} {version}" for name, version in header.get("versions", {}).items())
    return {
        "study": f"{header['name']}, {header['uid']}",
        "archsearch": str(header.get("archsearch", "")),
        "data": str(header.get("data_fingerprint", "")),
        "versions": versions,
        "arithmetic": f"{compute.get('device', '')}: {compute.get('reason', '')}",
    }
