"""With what and on what this process runs: versions, commit, processor, device."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import platform
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import archsearch
from archsearch.journal import SessionHistory, StudyHistory

_LIBRARIES = ("torch", "pytorch-lightning", "torchmetrics", "optuna", "mlflow", "numpy", "scikit-learn")
_GIT_TIMEOUT_S = 5.0
# Packages that a training depends on; the others decide what is trained, and where.
_DECIDING = ("architecture", "models", "data", "training")


def describe_provenance(
    device: Literal["cpu", "cuda", "mps"], *, local: bool = True, plugins: Sequence[str] = ()
) -> dict[str, Any]:
    """Describe what the results of a session depend on besides its study, in JSON's values.

    Args:
        device: The kind of device that trainings run on.
        local: Whether that is this machine's; the model of another machine's is not known here.
        plugins: Packages whose blocks, data sources and metrics a study may use.
    """
    commit, modified = find_commit()
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "processor": find_processor(),
        "device": device,
        "device_name": find_device_name(device) if local else "",
        "archsearch": importlib.metadata.version("archsearch"),
        "commit": commit,
        "modified": modified,
        "versions": find_versions(),
        "code": fingerprint_code(plugins),
    }


def find_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **versions}


def fingerprint_code(plugins: Sequence[str] = ()) -> str:
    """Return a SHA-256 over the code that decides on the course of a training, with that of some plugins.

    A commit says less: most change nothing of it, and code that is being worked on has none.
    """
    package = Path(archsearch.__file__).parent
    roots = [package / name for name in _DECIDING]
    roots += [root for plugin in plugins for root in _find_sources(plugin)]
    digest = hashlib.sha256()
    for root in roots:
        for file in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            digest.update(f"{root.name}/{file.relative_to(root)}".encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _find_sources(plugin: str) -> list[Path]:
    """Return the packages and modules that a plugin offers something in."""
    offered = importlib.metadata.distribution(plugin).entry_points
    names = {one.module.partition(".")[0] for one in offered if one.group.startswith("archsearch.")}
    specs = [importlib.util.find_spec(name) for name in sorted(names)]
    found = [Path(spec.origin) for spec in specs if spec is not None and spec.origin]
    return [path.parent if path.name == "__init__.py" else path for path in found]


def find_commit() -> tuple[str, bool]:
    """Return the commit that archsearch runs from and whether its code was changed since.

    The commit is empty where it does not run from a checkout of its own.
    """
    root = Path(archsearch.__file__).resolve().parents[1]
    # A file in a worktree. That an environment lies within somebody's repository makes it no checkout.
    if not (root / ".git").exists():
        return "", False
    commit = _git(root, "rev-parse", "HEAD")
    return commit, bool(commit and _git(root, "status", "--porcelain", "--", "archsearch"))


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def find_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the name of the processor's model."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def find_device_name(device: Literal["cpu", "cuda", "mps"]) -> str:
    """Return the name of the model that trainings run on."""
    if device != "cuda":
        return find_processor()
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(dict.fromkeys(names))


def explain_changes(history: StudyHistory, now: dict[str, Any]) -> str:
    """Say what differs between a session that begins and those that trained; empty where nothing does."""
    trained = {
        replicate.session
        for trial in history.trials.values()
        for replicate in trial.replicates.values()
        if replicate.session is not None
    }
    ours = SessionHistory(now, 0.0, 0.0).provenance
    changes: dict[str, str] = {}
    for number in sorted(trained):
        before = history.sessions[number].provenance
        changes.update(
            {
                name: f"{name} {before[name]}, now {ours[name]}"
                for name in before
                if name in ours and before[name] != ours[name]
            }
        )
    if not changes:
        return ""
    return (
        f"Earlier trainings of this study ran under other conditions: {'; '.join(changes.values())}. "
        "Their results may differ for that alone; each record says what it ran under."
    )
