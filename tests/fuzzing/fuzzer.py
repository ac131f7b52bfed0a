"""Atheris (libFuzzer for Python) on one target, in a process of its own, which it ends by itself.

::

    python -m tests.fuzzing.fuzzer TARGET [options of libFuzzer]
"""

from __future__ import annotations

import sys

import atheris

_INSTRUMENTED = ("archsearch.study", "archsearch.architecture", "archsearch.journal", "archsearch.models")


def main() -> None:
    name = sys.argv[1]
    with atheris.instrument_imports(include=[*_INSTRUMENTED, "ruamel.yaml"]):
        from tests.fuzzing.targets import TARGETS

        if name == "architecture":
            import archsearch.models  # noqa: F401
            import tests.models.prediction  # noqa: F401
    target = TARGETS[name]
    # Whatever is set up at the first use should not count as slow or as growth.
    target(b"")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
