"""A trained network as a folder that anyone can use."""

from archsearch.export.description import FORMAT_VERSION, ExportedNetwork
from archsearch.export.folder import check_place, check_several, load_export, write_export
from archsearch.export.formats import FORMATS, choose_formats
from archsearch.export.verifying import Verification, verify_export

__all__ = [
    "FORMATS",
    "FORMAT_VERSION",
    "ExportedNetwork",
    "Verification",
    "check_place",
    "check_several",
    "choose_formats",
    "load_export",
    "verify_export",
    "write_export",
]
