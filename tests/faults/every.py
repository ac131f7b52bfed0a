"""All faults, in the order of the table."""

from __future__ import annotations

from tests.faults import clocks, conducting, disks, hanging, killing, stopping, tracking, trainings

IN_CI = (
    *killing.FAULTS,
    *trainings.FAULTS,
    *hanging.FAULTS,
    *disks.FAULTS,
    *clocks.FAULTS,
    *stopping.FAULTS,
    *conducting.FAULTS,
    *tracking.FAULTS,
)
# last the one that measures time, for which the machine should have nothing else to do
ALL = (*IN_CI, tracking.HALF)
