from __future__ import annotations

import sys

import pytest

from archsearch.architecture import (
    BLOCKS,
    SHORTCUTS,
    definitions,
    load_plugins,
    register_block,
    resolve_architecture,
)
from archsearch.architecture.definitions import BlockDefinition, BranchForm
from archsearch.errors import ArchitectureError, InputError

_MODULE = """
from archsearch.architecture import BlockDefinition, BranchForm, ShortcutDefinition

TRIPLE = BlockDefinition("triple", "add", {"basic": BranchForm("my_blocks.torch:Triple", layers=3)})
HALVED = ShortcutDefinition("halved", "my_blocks.torch:Halved", pads=True)
WRONG = "no definition"
"""


@pytest.fixture
def registry(monkeypatch):
    """Lets a test register what it likes, and forgets it afterwards."""
    blocks, shortcuts = dict(BLOCKS), dict(SHORTCUTS)
    yield
    for registered, before in ((definitions._blocks, blocks), (definitions._shortcuts, shortcuts)):
        registered.clear()
        registered.update(before)


@pytest.fixture
def package(tmp_path, monkeypatch, registry):
    """Installs a package with entry points, as pip would; returns the file that lists them."""
    (tmp_path / "my_blocks.py").write_text(_MODULE)
    info = tmp_path / "my_blocks-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-blocks\nVersion: 1.0\n")
    points = info / "entry_points.txt"
    points.write_text("[archsearch.blocks]\ntriple = my_blocks:TRIPLE\nhalved = my_blocks:HALVED\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    # another test's package of this name may have been imported before
    monkeypatch.delitem(sys.modules, "my_blocks", raising=False)
    yield points
    sys.modules.pop("my_blocks", None)


def test_a_named_package_adds_its_blocks_and_shortcuts(package):
    assert sorted(load_plugins(["my_blocks"])) == ["halved", "triple"]

    architecture = resolve_architecture({"block": "triple", "shortcut": "halved", "depth": 29})
    assert architecture.blocks == (3, 3, 3)
    assert architecture.bottleneck is False


def test_a_package_that_is_not_named_is_not_even_imported(package):
    assert load_plugins(["another_package"]) == ()

    assert "my_blocks" not in sys.modules
    with pytest.raises(ArchitectureError, match="must be one of plain"):
        resolve_architecture({"block": "triple"})


def test_loading_twice_changes_nothing(package):
    load_plugins(["my-blocks"])

    assert sorted(load_plugins(["My.Blocks"])) == ["halved", "triple"]


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ("my_blocks:WRONG", "must lead to a BlockDefinition or a ShortcutDefinition, got str"),
        ("my_blocks:MISSING", "must lead to something that can be imported"),
        ("my_missing_module:X", "must lead to something that can be imported"),
    ],
)
def test_an_entry_point_that_leads_nowhere_is_an_error(package, point, message):
    package.write_text(f"[archsearch.blocks]\nwrong = {point}\n")

    with pytest.raises(InputError, match=message):
        load_plugins(["my-blocks"])


def test_a_name_cannot_be_taken_twice(registry):
    with pytest.raises(ArchitectureError, match="must have a name of its own, got residual"):
        register_block(BlockDefinition("residual", "add", {"basic": BranchForm("x:Y", layers=2)}))


def test_a_plugin_with_other_layers_has_no_published_imagenet_depths(registry):
    register_block(BlockDefinition("triple", "add", {"basic": BranchForm("x:Y", layers=3)}))

    with pytest.raises(ArchitectureError, match="Give 4 numbers"):
        resolve_architecture({"block": "triple", "layout": "imagenet"})
    assert resolve_architecture({"block": "triple", "layout": "imagenet", "blocks": [1, 1, 1, 1]}).depth == 14
