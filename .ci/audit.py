"""Look the pinned packages up among the known vulnerabilities: pip-audit, asking the package index.

Fails where a package has one, or where some could not be looked up. Where nothing could be, because the
service does not answer here, it says so and passes: then nothing has been audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Look them up, and end with 1 where something is to be done."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--vulnerability-service", "pypi", "--format", "json"),
        *("--progress-spinner", "off", "--timeout", "20"),
        # The pins are all there is: nothing is resolved or installed.
        *("--no-deps", "--disable-pip", "--requirement", str(ROOT / "constraints.txt")),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        words = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        print(f"NOT AUDITED: pip-audit gave no answer ({words[-1][:300]}).")
        return
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        print(f"NOT AUDITED: the advisory service knows none of the {len(packages)} pinned packages here.")
        return
    found = [(package, one) for package in packages for one in package.get("vulns", ())]
    for package, one in found:
        mended = f"mended in {', '.join(one['fix_versions'])}" if one["fix_versions"] else "not mended yet"
        print(f"{package['name']} {package['version']}: {one['id']}, {mended}")
    if unknown:
        print(f"Could not be looked up: {', '.join(unknown)}")
    audited = len(packages) - len(unknown)
    print(f"{audited} of {len(packages)} pinned packages audited, {len(found)} findings.")
    sys.exit(1 if found or unknown else 0)


if __name__ == "__main__":
    main()
