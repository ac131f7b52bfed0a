"""How many workers share a GPU, in a study that leaves it open or says so."""

import pytest

from archsearch.application.deciding import count_at_once, leaves_sharing_open
from archsearch.execution import Devices
from archsearch.study.settings import ExecutionSettings
from archsearch.training.values import Compute

TWO = Devices("cuda", ("0", "1"))
MEASURED = Compute(device="cuda", workers_per_device=3)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"workers": 4}, False),
        ({"workers_per_device": 2}, False),
        ({"executor": "inline"}, False),
        ({"executor": "ray"}, False),
        ({"devices_per_trial": 2}, False),
    ],
)
def test_it_is_measured_where_nothing_else_decides(fields, expected):
    assert leaves_sharing_open(ExecutionSettings(**fields), TWO) is expected
    assert not leaves_sharing_open(ExecutionSettings(**fields), Devices("cpu"))


@pytest.mark.parametrize(
    ("fields", "at_once"),
    [({}, 3), ({"workers_per_device": 2}, 2), ({"workers": 5}, 3), ({"executor": "inline"}, 1)],
)
def test_the_memory_of_a_gpu_is_for_those_who_share_it(fields, at_once):
    assert count_at_once(ExecutionSettings(**fields), TWO, MEASURED) == at_once
