"""Look the pinned packages up among the known vulnerabilities: pip-audit, asking the package index.

Fails where a package has one, where some could not be looked up, and where pip-audit itself fails. Where the
service is out of reach or knows nothing here, it says so and passes: then nothing has been audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# How requests, urllib3 and pip-audit say that a service is out of reach, in lower case.
_OUT_OF_REACH = (
    "connection refused",
    "timed out",
    "could not connect to",
    "no route to host",
    "network is unreachable",
    "name resolution",
    "name or service not known",
    "failed to resolve",
)


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
        last = (ended.stderr.strip().splitlines() or ["it says nothing"])[-1][:600]
        if any(words in ended.stderr.lower() for words in _OUT_OF_REACH):
            print(f"NOT AUDITED: the advisory service is out of reach ({last}).")
            return
        sys.exit(f"pip-audit failed with exit code {ended.returncode}: {last}")
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
