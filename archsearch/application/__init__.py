"""What a person asks for; wires the other packages. Also the Python API."""

from archsearch.application.exporting import build, load

__all__ = ["build", "load"]
