"""A trained network as a folder that anyone can use."""

from archsearch.export.folder import FORMAT, ExportedNetwork, load_export, write_export

__all__ = ["FORMAT", "ExportedNetwork", "load_export", "write_export"]
