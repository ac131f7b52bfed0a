"""A decision in words: what the curve shows, at how many epochs, and what would decide an open one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from archsearch.analysis.curve_results import CellResults, CurveResults
from archsearch.analysis.curve_tests import CurveTests, Measure
from archsearch.analysis.replication import find_shortage
from archsearch.analysis.verdict_evidence import turning_point
from archsearch.analysis.verdict_rule import Decision, Kind
from archsearch.analysis.wording import listed, p_value, percent, points
from archsearch.statistics.trends import Trend

_NAMES: Mapping[Measure, str] = {"train_error": "training error", "val_error": "validation error"}


def write_sentence(curve: CurveResults, decision: Decision) -> str:
    """Say what the curve shows; begins with the epochs, for more of them may show something else."""
    said = _WRITERS[decision.kind](curve, decision)
    plural = "epoch" if curve.epochs == 1 else "epochs"
    return f"At {curve.epochs} {plural}, {curve.label}: {said}"


def say_what_would_decide(decision: Decision) -> str:
    """What to do about an undecided curve; empty for a decided one."""
    if decision.kind != "undecided":
        return ""
    if decision.reason == "searched":
        return "Sweep the depth: the study below trains every depth under the same seeds."
    if decision.reason == "not confirmed":
        return "Add seeds: 5 to the study, and run it again: each depth's best is then trained under them."
    if decision.reason == "one depth":
        return "Sweep at least two depths, better four."
    if decision.reason == "few seeds":
        return "Train every depth under at least 3 seeds."
    if decision.reason == "nothing learned":
        return "Include shallower networks, or train longer or at another learning rate."
    assert decision.tests is not None
    broken = [cell.depth for cell in decision.tests.cells if cell.diverged]
    if broken:
        return (
            f"Make training stable at depth {listed(broken)}, by a lower learning rate or "
            "training.gradient_clip: what is not a number cannot be averaged."
        )
    if decision.reason == "val_error":
        return (
            "More seeds, and above all more validation images (data.val_frac), would tell a rise of the "
            "validation error from chance."
        )
    shortage = find_shortage(decision.tests)
    if shortage is None or shortage.needed is None:
        return (
            "No affordable number of seeds would decide this at the spread seen: find settings under which "
            "trainings differ less, or ask for a larger smallest difference."
        )
    return f"About {shortage.needed} seeds a depth would decide it, at the spread seen so far."


def _rise(tests: CurveTests, measure: Measure, trend: Trend) -> str:
    start, end = turning_point(tests, measure, trend)
    samples = tests.train if measure == "train_error" else tests.val
    verb = "rises" if trend.change > 0 else "falls"
    return (
        f"{_NAMES[measure]} {verb} from {percent(samples[start].mean)} at depth {tests.depths[start]} to "
        f"{percent(samples[end].mean)} at depth {tests.depths[end]} ({p_value(trend.p_adjusted)})"
    )


def _degradation(_curve: CurveResults, decision: Decision) -> str:
    assert decision.tests
    assert decision.trend
    tests = decision.tests
    start, _ = turning_point(tests, "train_error", decision.trend)
    where = f" beyond depth {tests.depths[start]}" if start else ""
    return (
        f"degrades{where}. Its {_rise(tests, 'train_error', decision.trend)}: optimisation fails, "
        "this is not overfitting."
    )


def _gradients(_curve: CurveResults, decision: Decision) -> str:
    found, vanish = decision.gradients, decision.kind == "vanishing_gradients"
    assert found
    ratio = found.ratio if found.ratio is not None else found.initial_ratio
    assert ratio is not None
    said = f"gradients {'vanish' if vanish else 'explode'} with depth. "
    if decision.diverged:
        said += _not_a_number(decision.diverged)
    elif decision.tests and decision.trend:
        said += f"Its {_rise(decision.tests, 'train_error', decision.trend)}"
    else:
        said += "No depth learns"
    return (
        f"{said}, and at depth {found.depth} gradients in the first layers are {ratio:.1e} times those "
        "in the last."
    )


def _overfitting(curve: CurveResults, decision: Decision) -> str:
    assert decision.tests
    assert decision.trend
    tests, trend = decision.tests, decision.trend
    (train,) = [t for t in tests.order("train_error", "rise") if t.first == trend.first]
    fell = train.total.upper(1 - curve.level) < 0
    return (
        f"overfits with depth. Its {_rise(tests, 'val_error', trend)} while its training error "
        f"{'falls' if fell else f'rises by less than {points(curve.smallest_difference)} if at all'}."
    )


def _healthy(_curve: CurveResults, decision: Decision) -> str:
    assert decision.tests
    assert decision.trend
    assert decision.measure
    said = f"healthy. Its {_rise(decision.tests, decision.measure, decision.trend)}"
    return f"{said}, and neither error is seen to rise."


def _saturated(curve: CurveResults, decision: Decision) -> str:
    assert decision.tests
    tests, margin = decision.tests, points(curve.smallest_difference)
    said = (
        f"saturated. Between any two of the depths {listed(tests.depths)} the training error differs by less "
        f"than {margin} ({p_value(tests.equivalence)})"
    )
    if tests.val_equivalence <= curve.level:
        return f"{said}, and so does the validation error ({p_value(tests.val_equivalence)})."
    if not tests.val:
        return f"{said}."
    total = tests.order("val_error", "rise")[0].total
    low, high = total.interval()
    return (
        f"{said}. What the validation error does is less clear: over these depths it changes by "
        f"{100 * total.estimate:+.1f} points (95 % interval {100 * low:+.1f} to {100 * high:+.1f})."
    )


def _diverged(_curve: CurveResults, decision: Decision) -> str:
    said = f"diverges. {_not_a_number(decision.diverged)}."
    if decision.rest:
        return f"{said} The other depths by themselves: {decision.rest.kind.replace('_', ' ')}."
    return said


def _not_a_number(cells: tuple[CellResults, ...]) -> str:
    places = [f"{cell.diverged} of {cell.ended} trainings at depth {cell.depth}" for cell in cells]
    return f"{listed(places)} ended in what is not a number"


def _undecided(curve: CurveResults, decision: Decision) -> str:
    if decision.reason == "searched":
        return (
            "undecided: searched, not swept. A search gives each depth other settings and as many tries as "
            "it pleases, so it compares no depths."
        )
    if decision.reason == "not confirmed":
        return (
            "undecided. Each depth has what its search tried, under one seed; the best of many tries is too "
            "good, and its spread is unknown."
        )
    if decision.reason == "one depth":
        return "undecided. No two depths have results to compare."
    if decision.reason == "few seeds":
        return "undecided. With one seed a depth no difference can be told from chance."
    if decision.reason == "nothing learned":
        assert decision.tests
        best = min(sample.mean for sample in decision.tests.train)
        return (
            f"undecided. No network of this curve learned anything: the lowest training error is "
            f"{percent(best)}, a guess's {percent(curve.chance_error)}."
        )
    if decision.trend and decision.measure and decision.tests:
        return (
            f"undecided. Its {_rise(decision.tests, decision.measure, decision.trend)}, which is suspicious "
            "but not shown."
        )
    return "undecided. Neither a change of the errors with depth nor their being equal is shown."


_WRITERS: Mapping[Kind, Callable[[CurveResults, Decision], str]] = {
    "healthy": _healthy,
    "degradation": _degradation,
    "overfitting": _overfitting,
    "vanishing_gradients": _gradients,
    "exploding_gradients": _gradients,
    "diverged": _diverged,
    "saturated": _saturated,
    "undecided": _undecided,
}
