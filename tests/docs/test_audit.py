"""The audit of the pinned packages passes unaudited only where the advisory service is out of reach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

POOL = "HTTPSConnectionPool(host='pypi.org', port=443): Max retries exceeded with url: /pypi/click/8.5.1/json"
REFUSED = f"""\
Traceback (most recent call last):
requests.exceptions.ProxyError: {POOL} (Caused by ProxyError('Unable to connect to proxy', \
NewConnectionError("Failed to establish a new connection: [Errno 111] Connection refused")))
"""
UNRESOLVED = f"""\
requests.exceptions.ConnectionError: {POOL} (Caused by NameResolutionError("Failed to resolve 'pypi.org' \
([Errno -3] Temporary failure in name resolution)"))
"""
TIMED_OUT = """\
ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed
ERROR:pip_audit._cli:Tip: your network may be blocking this service. Try another service with `-s SERVICE`
"""
SOUND = {"name": "click", "version": "8.5.1", "vulns": []}
WEAK = {"name": "click", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI"}


def audit(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run the audit with a pip-audit that does something else."""
    (folder / "pip_audit").mkdir()
    (folder / "pip_audit" / "__init__.py").touch()
    if program:
        (folder / "pip_audit" / "__main__.py").write_text(program)
    return subprocess.run(
        [sys.executable, ROOT / ".ci" / "audit.py"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def answering(*packages: object) -> str:
    return f"print({json.dumps(json.dumps({'dependencies': packages}))})"


def failing(words: str) -> str:
    return f"import sys; sys.exit({words!r})"


@pytest.mark.parametrize(
    "words", [REFUSED, UNRESOLVED, TIMED_OUT], ids=["refused", "unresolved", "timed out"]
)
def test_a_service_out_of_reach_is_said_and_passes(tmp_path: Path, words: str) -> None:
    ended = audit(tmp_path, failing(words))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("NOT AUDITED: the advisory service is out of reach (")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("", "exit code 1: "),
        ("raise RuntimeError('a mistake')", "exit code 1: RuntimeError: a mistake"),
        (failing("requests.exceptions.HTTPError: 503 Server Error"), "503 Server Error"),
        ("import os; os._exit(3)", "exit code 3: it says nothing"),
    ],
    ids=["missing", "crashed", "refusing", "silent"],
)
def test_a_pip_audit_that_fails_by_itself_fails_the_audit(tmp_path: Path, program: str, said: str) -> None:
    ended = audit(tmp_path, program)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert said in ended.stderr


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], 0, "1 of 1 pinned packages audited, 0 findings."),
        ([SOUND, WEAK], 1, "click 1.0: PYSEC-1, mended in 1.1"),
        ([SOUND, UNKNOWN], 1, "Could not be looked up: ours"),
        ([UNKNOWN], 0, "NOT AUDITED: the advisory service knows none of the 1 pinned packages here."),
    ],
)
def test_what_is_found_fails_the_audit(tmp_path: Path, packages: list[object], code: int, said: str) -> None:
    ended = audit(tmp_path, answering(*packages))

    assert ended.returncode == code
    assert said in ended.stdout
