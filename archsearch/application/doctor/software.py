"""What is installed: Python and libraries against the ranges that the package itself names."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from archsearch.application.doctor.checks import Check, Subject
from archsearch.application.provenance import find_commit

# Where nothing is said, a study does without.
_OPTIONAL = ("postgresql", "ray")


def examine_python(subject: Subject) -> Check:  # noqa: ARG001
    """Version of Python and archsearch, and the commit where it runs from a checkout."""
    wanted = importlib.metadata.metadata("archsearch")["Requires-Python"]
    commit, modified = find_commit()
    source = f", commit {commit[:12]}{' with changes' if modified else ''}" if commit else ""
    found = (
        f"Python {platform.python_version()}, archsearch {importlib.metadata.version('archsearch')}{source}"
    )
    if not SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        return Check("python", "broken", found, f"Install archsearch with Python {wanted}.")
    return Check("python", "ok", found)


def examine_libraries(subject: Subject) -> Check:  # noqa: ARG001
    """Every library that archsearch requires."""
    needed = [one for one in _requirements() if one.marker is None or one.marker.evaluate({"extra": ""})]
    return judge_libraries("libraries", needed)


def judge_libraries(name: str, needed: Sequence[Requirement]) -> Check:
    """Compare what is installed with the ranges."""
    installed = {one.name: _version_of(one.name) for one in needed}
    wrong = [
        one
        for one in needed
        if not installed[one.name] or not one.specifier.contains(installed[one.name], prereleases=True)
    ]
    found = ", ".join(f"{name} {version or 'missing'}" for name, version in installed.items())
    if wrong:
        shown = ", ".join(f"{one.name} {installed[one.name] or 'missing'}" for one in wrong)
        asked = " ".join(f"'{one.name}{one.specifier}'" for one in wrong)
        return Check(name, "broken", f"not in the supported range: {shown}", f"pip install {asked}")
    return Check(name, "ok", found)


def examine_optional(subject: Subject) -> Check:
    """Packages of the extras, which only some studies need."""
    found, wrong, missing = [], [], []
    for extra in _OPTIONAL:
        for one in _requirements():
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                continue
            if not one.marker.evaluate({"extra": extra}):
                continue
            version = _version_of(one.name)
            found.append(f"{one.name} {version or 'not installed'}")
            if version and not one.specifier.contains(version, prereleases=True):
                wrong.append(f"'{one.name}{one.specifier}'")
            if not version and _is_needed(extra, subject):
                missing.append(extra)
    if missing:
        return Check("extras", "broken", ", ".join(found), f"pip install 'archsearch[{','.join(missing)}]'")
    if wrong:
        return Check("extras", "warning", ", ".join(found), f"pip install {' '.join(wrong)}")
    return Check("extras", "ok", ", ".join(found))


def _is_needed(extra: str, subject: Subject) -> bool:
    if subject.study is None:
        return False
    if extra == "ray":
        return subject.study.execution.executor == "ray"
    tracking = subject.study.tracking
    return any(url.startswith(("postgresql", "postgres:")) for url in (tracking.uri, tracking.optuna))


def examine_torch(subject: Subject) -> Check:  # noqa: ARG001
    """What torch was built for, and whether bfloat16 is computed by the hardware."""
    import torch

    from archsearch.execution import find_devices
    from archsearch.training.hardware import computes_bf16

    kind = find_devices("auto").kind
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    bf16 = "computes" if computes_bf16(kind) else "does not compute"
    return Check("torch", "ok", f"{torch.__version__} for {built}; {kind} {bf16} bfloat16 itself")


def _requirements() -> list[Requirement]:
    return [Requirement(line) for line in importlib.metadata.requires("archsearch") or ()]


def _version_of(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
