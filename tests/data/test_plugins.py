"""Sources of other packages: loaded when the study names the package, and only then."""

import sys

import pytest

from archsearch.data import check_data, load_dataset, load_source_plugins, source
from archsearch.errors import DataError, InputError
from archsearch.study.settings import DataSettings

MODULE = """
import torch
from archsearch.data import RawData, Source, Split

def load(settings):
    images = torch.arange(settings.samples * 4, dtype=torch.float32).reshape(-1, 1, 2, 2)
    return RawData(Split(images, torch.arange(settings.samples) % 2), classes=("even", "odd"))

ramps = Source(load)
not_a_source = 3
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package of this module whose entry points of archsearch.data are these lines."""

    def install(*lines: str) -> None:
        (tmp_path / "ramps_module.py").write_text(MODULE)
        info = tmp_path / "my_ramps-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my_ramps\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(["[archsearch.data]", *lines]))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(source, "SOURCES", dict(source.SOURCES))

    yield install
    sys.modules.pop("ramps_module", None)


def test_a_named_package_brings_its_source(install):
    install("ramps = ramps_module:ramps")

    load_source_plugins(["My-Ramps"])

    assert load_dataset(DataSettings(name="ramps", samples=40)).input_shape == (1, 2, 2)


def test_a_package_that_is_not_named_is_not_even_imported(install):
    install("ramps = ramps_module:ramps")

    load_source_plugins(["another-package"])

    assert "ramps_module" not in sys.modules
    with pytest.raises(DataError, match="A plugin's source needs its package under plugins"):
        check_data(DataSettings(name="ramps"))


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        (
            "ramps = ramps_module:missing",
            InputError,
            r"plugins\.ramps: must lead to something that can be imported .*ramps_module:missing",
        ),
        (
            "ramps = ramps_module:not_a_source",
            DataError,
            r"plugins: must be an archsearch\.data\.Source.*got 3",
        ),
        ("digits = ramps_module:ramps", DataError, r"must be a name that no other source has, got digits"),
    ],
)
def test_a_package_that_cannot_be_used_is_an_error(install, line, error, message):
    install(line)

    with pytest.raises(error, match=message):
        load_source_plugins(["my_ramps"])
