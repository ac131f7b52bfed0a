"""Public files: looked for in folders that may hold them, else downloaded once and checked by their hash."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from archsearch.errors import DataError
from archsearch.study.settings import DataSettings


@dataclass(frozen=True)
class RemoteFile:
    """A file to download: its folder's address (ending in ``/``), its name, its SHA-256."""

    folder_url: str
    name: str
    sha256: str


def cache_folder() -> Path:
    """Folder of this user's cache, ``~/.cache/archsearch`` on Linux; follows XDG_CACHE_HOME."""
    import pooch

    return Path(pooch.os_cache("archsearch"))


def find_file(names: Iterable[str], folders: Iterable[Path]) -> Path | None:
    """Return the first file of these names, folder by folder; None where there is none."""
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def root_folder(settings: DataSettings) -> tuple[Path, ...]:
    """Return the folder that the study names, where it names one."""
    return (Path(settings.root).expanduser(),) if settings.root else ()


def missing_file(name: str, settings: DataSettings, remote: RemoteFile) -> DataError:
    """Return the error for a file that is nowhere and may not be downloaded."""
    return DataError(
        f"must hold {name}, which is in no other known place either",
        path="data.root",
        got=settings.root,
        fix=f"Set download: true, or put {remote.folder_url}{remote.name} there.",
    )


def download_file(remote: RemoteFile, folder: Path) -> Path:
    """Download a file into `folder`, unless it is there already, and check its hash.

    Raises:
        DataError: It cannot be had, or what came is not the published file.
    """
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    url = remote.folder_url + remote.name
    try:
        found = pooch.retrieve(url, known_hash=f"sha256:{remote.sha256}", fname=remote.name, path=folder)
    # requests' errors are OSErrors; pooch raises ValueError for a wrong hash.
    except (OSError, ValueError) as error:
        raise DataError(
            f"must be downloadable from {url} ({type(error).__name__}: {error})",
            path="data.name",
            fix=f"Download {remote.name} by other means and name its folder as data.root.",
        ) from error
    return Path(found)
