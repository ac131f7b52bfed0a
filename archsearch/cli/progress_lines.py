"""The lines of `archsearch run` that stay: how a trial ended, how a long one gets on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

if TYPE_CHECKING:
    from archsearch.application.progress import Forecast
    from archsearch.journal import TrialHistory

_NAME_WIDTH = 34
# From these widths on there is room for full names, and for short ones.
_WIDE = 108
_MEDIUM = 78
_STYLES = {"failed": "red", "pruned": "dim", "repeated": "dim", "infeasible": "dim"}


def write_ending(
    fields: Mapping[str, Any], name: str, elapsed_s: float, *, width: int | None, forecast: str = ""
) -> Text:
    """How a trial ended.

    Args:
        fields: Of its ``told`` record.
        name: Of its network.
        elapsed_s: Since the command was given.
        width: Of the terminal, in which it is to fill one line; None where there is none.
        forecast: What else is to be said at its end.
    """
    outcome, metrics = fields["outcome"], fields["metrics"]
    if outcome == "complete" and "val_error" in metrics:
        said = _errors(metrics, width)
        if width is None and (lenders := fields.get("taken_over")):
            said += f"   taken over from {', '.join(lenders)}"
    elif outcome == "repeated":
        said = f"the same as trial {fields['repeated_of']}"
    else:
        said = f"{outcome}: {fields['reason']}".removesuffix(": ")
    word = "trial " if width is None or width >= _MEDIUM else ""
    head = f"{say_clock(elapsed_s):>7}  {word}{fields['trial']:>3}  "
    room = _NAME_WIDTH
    if width is not None:
        errors = _errors({"val_error": 0.0, "train_error": 0.0}, width)
        room = max(8, min(room, width - 1 - len(head) - 2 - len(errors)))
    shown = name if width is None or len(name) <= room else f"{name[: room - 3]}..."
    return Text.assemble(
        head, f"{shown:<{room}}", "  ", (said, _STYLES.get(outcome, "")), f"   {forecast}" if forecast else ""
    )


def say_training(fields: Mapping[str, Any], trial: TrialHistory, elapsed_s: float, *, forecast: str) -> Text:
    """How far a training is, of its ``epoch`` record."""
    epochs = f"epoch {fields['epoch'] + 1} of {trial.training['epochs']}"
    accuracy = fields["metrics"].get("val_accuracy")
    reached = "" if accuracy is None else f", validation accuracy {accuracy:.2%}"
    head = f"{say_clock(elapsed_s):>7}  trial {fields['trial']:>3}  {trial.name:<{_NAME_WIDTH}}"
    return Text(f"{head}  seed {fields['seed']}: {epochs}{reached}   {forecast}")


def say_forecast(forecast: Forecast) -> str:
    """``52 %, about 12 min left``."""
    left = "" if forecast.seconds_left is None else f", {say_left(forecast.seconds_left)}"
    return f"{forecast.frac:.0%}{left}"


def say_left(seconds: float) -> str:
    """``about 40 s left``: no more exactly than it is known."""
    if seconds < 1:
        return "a moment left"
    if seconds < 90:
        return f"about {seconds if seconds < 10 else 5 * round(seconds / 5):.0f} s left"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} min left"
    if seconds < 36 * 3600:
        return f"about {seconds / 3600:.1f} h left"
    return f"about {seconds / 86400:.1f} days left"


def say_clock(seconds: float) -> str:
    """``0:48``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _errors(metrics: Mapping[str, float], width: int | None) -> str:
    names = ("val", "  train")
    if width is None or width >= _WIDE:
        names = ("validation error", "   training error")
    elif width >= _MEDIUM:
        names = ("val error", "  train")
    measured = zip(names, ("val_error", "train_error"), strict=True)
    return "".join(f"{name} {metrics[key]:7.2%}" for name, key in measured if key in metrics)
