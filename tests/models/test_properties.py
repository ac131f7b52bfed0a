"""Every architecture that is valid builds, runs forward and backward, and is what was predicted of it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from archsearch.architecture import BLOCKS, FIELDS, SHORTCUTS, resolve_architecture
from archsearch.errors import ArchitectureError
from archsearch.models import count_cost
from tests.fuzzing.targets import build_architecture
from tests.models.prediction import check_prediction

_MOST_PARAMETERS, _MOST_MACS = 300_000, 10_000_000


@st.composite
def fields(draw: st.DrawFn) -> dict[str, object]:
    """Fields of an architecture, each as likely left out as given; some make no sense together."""
    layout = draw(st.sampled_from(FIELDS["layout"].choices))
    able = [name for name, block in BLOCKS.items() if layout in block.layouts]
    stages = {"cifar": 3, "imagenet": 4, "vgg": 5, "mlp": 1}[layout]
    real = st.floats(1, 9) | st.integers(1, 9)
    values = {
        "blocks": st.lists(st.integers(1, 3), min_size=stages, max_size=stages),
        "width": real,
        "stem_width": st.integers(1, 9),
        "shortcut": st.sampled_from(sorted(SHORTCUTS)),
        "cardinality": st.integers(1, 4),
        "group_width": real,
        "compression": st.floats(0.1, 1),
        "gate_bias": st.floats(-5, 5),
        "initialization_std": st.floats(0.01, 1),
        "drop_path": st.floats(0, 0.9),
        **{name: st.booleans() for name in ("bottleneck", "preactivation")},
        **{name: st.sampled_from(FIELDS[name].choices) for name in ("norm", "activation", "initialization")},
        "stride_in": st.sampled_from(FIELDS["stride_in"].choices),
    }
    given = {name: draw(value) for name, value in values.items() if name == "blocks" or draw(st.booleans())}
    return {"block": draw(st.sampled_from(able)), "layout": layout, **given}


SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)) | st.tuples(st.integers(1, 60))


def check(given_fields: dict[str, object], shape: tuple[int, ...], classes: int) -> None:
    try:
        architecture = resolve_architecture(given_fields, strict=False)
        cost = count_cost(architecture, shape, classes)
    except ArchitectureError:
        assume(False)
        return
    assume(cost.parameters <= _MOST_PARAMETERS and cost.macs <= _MOST_MACS)
    check_prediction(architecture, shape, classes)


_UNHURRIED = settings(
    deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


@given(fields(), SHAPES, st.integers(1, 12))
@settings(_UNHURRIED, max_examples=15)
def test_what_is_valid_is_what_was_predicted(
    given_fields: dict[str, object], shape: tuple[int, ...], classes: int
) -> None:
    check(given_fields, shape, classes)


@pytest.mark.slow
@given(fields(), SHAPES, st.integers(1, 12))
@settings(_UNHURRIED, max_examples=300)
def test_what_is_valid_is_what_was_predicted_at_length(
    given_fields: dict[str, object], shape: tuple[int, ...], classes: int
) -> None:
    check(given_fields, shape, classes)


@pytest.mark.slow
@given(st.binary(max_size=50))
@settings(_UNHURRIED, max_examples=300)
def test_any_bytes_are_an_architecture_or_an_error(content: bytes) -> None:
    build_architecture(content)
