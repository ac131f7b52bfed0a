"""The source of one network: a module of PyTorch that a person would write for it, and nothing of ours."""

from archsearch.export.source.module import find_foreign, write_source

__all__ = ["find_foreign", "write_source"]
