"""The command archsearch: in this process where that is enough, else as a process group of its own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from archsearch.cli import main


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def call(*arguments: object, cwd: Path) -> Answer:
    """What the command answers, called in this process."""
    out, err, argv = io.StringIO(), io.StringIO(), ["archsearch", *map(str, arguments)]
    code: int | str | None = 0
    with chdir(cwd), redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "argv", argv):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return Answer(int(code or 0), out.getvalue(), err.getvalue())


def start(*arguments: object, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    """Start the command as a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "archsearch", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def call_apart(*arguments: object, cwd: Path, **options: Any) -> Answer:
    """What the command answers as a process of its own."""
    process = start(*arguments, cwd=cwd, **options)
    out, err = process.communicate()
    return Answer(process.returncode, out, err)
