"""Provoke faults and write what became of them.

::

    python -m tests.faults --counts full --output docs/faults.md
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

from tests.faults.every import ALL
from tests.faults.fault import Finding
from tests.faults.table import draw_table
from tests.faults.workshop import Workshop


def main() -> int:
    """Provoke them one after the other; returns 1 where something was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--counts", choices=("few", "full"), default="few", help="few: five times each")
    parser.add_argument("--only", default="", help="faults with this in their name")
    parser.add_argument("--output", type=Path, help="Markdown file for the table")
    options = parser.parse_args()
    # Services and mounts are given up by SIGTERM too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # SQLAlchemy about MLflow's models.
    warnings.simplefilter("ignore")
    found: list[tuple] = []
    with Workshop() as shop:
        for fault in (fault for fault in ALL if options.only in fault.name):
            if reason := fault.missing():
                found.append((fault, reason))
                continue
            before = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="archsearch-fault-") as place:
                times = fault.full if options.counts == "full" else min(5, fault.full)
                finding = fault.provoke(shop, Path(place), times)
            found.append((fault, finding))
            what = "; ".join(finding.lost) or "nothing"
            took_s = time.monotonic() - before
            print(f"{fault.name}: {finding.times} times in {took_s:.0f} s, lost: {what}", file=sys.stderr)
            if options.output:
                # after each, for all of them take an hour
                options.output.write_text(draw_table(found), encoding="utf-8")
    print(draw_table(found))
    return int(any(isinstance(finding, Finding) and finding.lost for _, finding in found))


if __name__ == "__main__":
    sys.exit(main())
