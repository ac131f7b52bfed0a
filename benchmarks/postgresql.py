"""A PostgreSQL server of one's own: a cluster in a folder, on 127.0.0.1, gone when it is left."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_USER = "postgres"
_PATIENCE_S = 30.0
# What a server on a small machine runs with, but for the port and the folder of its socket.
_OPTIONS = {"listen_addresses": "127.0.0.1", "max_connections": "100"}


def find_programs() -> Path | None:
    """Return the folder of initdb and postgres, the newest version's; None where there is none."""
    found = shutil.which("initdb")
    if found and (Path(found).parent / "postgres").is_file():
        return Path(found).parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: int(path.parts[-3].partition(".")[0]), default=None)
    return newest.parent if newest else None


class PostgreSQL:
    """Context manager that runs a server; fsync stays on, as where a study's results matter.

    initdb refuses root, so root runs it as the system's user ``postgres``.

    Attributes:
        folder: Where everything of it is.
    """

    def __init__(self) -> None:
        programs = find_programs()
        if programs is None:
            raise FileNotFoundError("PostgreSQL is not installed: no initdb in PATH or /usr/lib/postgresql")
        self._programs = programs
        self._user = _USER if os.geteuid() == 0 else None
        self._server: subprocess.Popen[bytes] | None = None
        self._port = 0

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database, for Optuna and MLflow."""
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self._port}/{database}"

    def create_database(self, name: str) -> str:
        """Create a database; returns its URL."""
        import psycopg

        address = f"host=127.0.0.1 port={self._port} user={_USER} dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def __enter__(self) -> Self:
        # Below /tmp, for the path of a socket must be short, and its folder open to the server's user.
        self.folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir="/tmp"))
        try:
            if self._user:
                shutil.chown(self.folder, self._user)
            self._log = (self.folder / "log").open("wb")
            data = str(self.folder / "data")
            initdb = [str(self._programs / "initdb"), "--auth=trust", "--no-locale", "--encoding=UTF8"]
            self._run([*initdb, f"--username={_USER}", f"--pgdata={data}"])
            self._port = _free_port()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._log.close()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start the server, at the same address each time; entering the context does."""
        options = {**_OPTIONS, "port": str(self._port), "unix_socket_directories": str(self.folder)}
        settings = [f"--{name}={value}" for name, value in options.items()]
        data = str(self.folder / "data")
        self._server = self._start([str(self._programs / "postgres"), "-D", data, *settings])
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop the server, where it runs; what it holds stays."""
        if self._server is not None and self._server.poll() is None:
            # Fast shutdown: the server ends its connections and leaves nothing behind.
            self._server.send_signal(signal.SIGINT)
            self._server.wait(_PATIENCE_S)
        self._server = None

    def _run(self, command: Sequence[str]) -> None:
        process = self._start(command)
        if process.wait():
            raise RuntimeError(f"{command[0]} failed:\n{self._said()}")

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        user = pwd.getpwnam(self._user) if self._user else None
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )

    def _wait_until_ready(self) -> None:
        import psycopg

        assert self._server is not None
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                address = f"host=127.0.0.1 port={self._port} user={_USER} dbname=postgres"
                psycopg.connect(address, connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{self._said()}") from error
                time.sleep(0.05)

    def _said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
