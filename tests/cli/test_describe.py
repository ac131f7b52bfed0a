"""`archsearch describe`: published counts, and what it says to wrong names and shapes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import call

CIFAR = ("--input", "3x32x32", "--classes", "10")
MLP = ("--input", "784", "--classes", "10")

# Parameters and MACs as the papers report them or as other people's implementations have them; MACs of
# imagenet networks are known to four digits. Networks without a published name are written as their fields.
COUNTS = [
    ("{depth: 8}", CIFAR, 75_290, 12_239_488),
    ("{block: plain, depth: 8}", CIFAR, 75_290, 12_239_488),
    ("resnet20", CIFAR, 269_722, 40_551_040),
    ("plain20", CIFAR, 269_722, 40_551_040),
    ("{depth: 20, shortcut: projection}", CIFAR, 272_474, None),
    ("{depth: 20, shortcut: projection_all}", CIFAR, 283_962, None),
    ("{depth: 20, shortcut: projection, preactivation: true}", CIFAR, 272_282, None),
    ("resnet32", CIFAR, 464_154, 68_862_592),
    ("resnet110", CIFAR, 1_727_962, 252_887_680),
    ("{depth: 164, bottleneck: true}", CIFAR, 1_704_154, 247_646_720),
    ("{block: dense, depth: 40, width: 12}", CIFAR, 1_019_722, 264_812_928),
    (
        "{block: dense, depth: 100, width: 12, bottleneck: true, compression: 0.5}",
        CIFAR,
        769_162,
        287_929_692,
    ),
    ("densenet-bc-100-12", CIFAR, 769_162, 287_929_692),
    ("resnext29-8x64d", CIFAR, 34_426_698, 5_387_266_048),
    (
        "{depth: 26, width: 160, stem_width: 16, preactivation: true, shortcut: projection}",
        CIFAR,
        36_479_194,
        5_243_328_768,
    ),
    ("resnet18", (), 11_689_512, 1.814e9),
    ("resnet50", (), 25_557_032, 4.089e9),
    (
        "{layout: imagenet, depth: 50, width: 64, bottleneck: true, stride_in: 1x1}",
        (),
        25_557_032,
        3.858e9,
    ),
    ("resnet152", (), 60_192_808, 11.514e9),
    (
        "{layout: imagenet, depth: 152, width: 64, bottleneck: true, stride_in: 1x1}",
        (),
        60_192_808,
        11.282e9,
    ),
    ("resnext50-32x4d", (), 25_028_904, 4.230e9),
    ("densenet121", (), 7_978_856, 2.834e9),
    ("vgg19", (), 143_667_240, 19.632e9),
    ("{layout: vgg, block: plain, depth: 19, width: 64}", (), 143_678_248, None),
    (
        "{layout: mlp, block: highway, depth: 10, width: 50, norm: none}",
        MLP,
        85_660,
        None,
    ),
    ("{layout: mlp, block: highway, depth: 50, width: 50, norm: none}", MLP, 289_660, None),
    ("{layout: mlp, block: plain, depth: 10, width: 71, norm: none}", MLP, 102_463, None),
    ("{layout: mlp, block: plain, depth: 50, width: 71, norm: none}", MLP, 306_943, None),
]


@pytest.mark.parametrize(("network", "shape", "parameters", "macs"), COUNTS, ids=[c[0] for c in COUNTS])
def test_networks_count_as_published(
    network: str, shape: tuple[str, ...], parameters: int, macs: float | None, tmp_path: Path
) -> None:
    if network.startswith("{"):
        (tmp_path / "net.yaml").write_text(f"architecture: {network}\n")
        network = "net.yaml"

    (described,) = call("describe", network, *shape, "--json", cwd=tmp_path).json

    assert described["parameters"] == parameters
    if isinstance(macs, int):
        assert described["macs"] == macs
    elif macs is not None:
        assert described["macs"] == pytest.approx(macs, abs=0.001e9)


def test_networks_are_described_in_the_order_asked_for(tmp_path: Path) -> None:
    described = call("describe", "resnet152", "vgg19", "--json", cwd=tmp_path).json

    assert [(each["name"], each["depth"]) for each in described] == [("resnet152", 152), ("vgg19", 19)]
    for each in described:
        assert set(each) >= {"name", "depth", "parameters", "macs", "id", "architecture", "activation_mib"}
        assert each["id"].startswith("v1:")
        assert each["input"] == [3, 224, 224]


def test_the_described_architecture_describes_the_same_network(tmp_path: Path) -> None:
    (described,) = call("describe", "resnet110", "--json", cwd=tmp_path).json
    (tmp_path / "again.yaml").write_text(f"architecture: {described['architecture']}\n".replace("'", ""))

    (again,) = call("describe", "again.yaml", "--json", cwd=tmp_path).json

    assert {**again, "name": "resnet110"} == {
        **described,
        "architecture": again["architecture"],
    }


def test_people_get_a_table_with_thousands_apart(tmp_path: Path) -> None:
    out = call("describe", "resnet152", "vgg19", cwd=tmp_path).out

    header, *rows = [line.split() for line in out.splitlines()]
    assert header == ["network", "depth", "parameters", "MACs", "activations", "input", "classes"]
    assert [row[:4] for row in rows] == [
        ["resnet152", "152", "60,192,808", "11,513,626,624"],
        ["vgg19", "19", "143,667,240", "19,632,062,464"],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet153"], "must be the name of a published network, got resnet153. Did you mean resnet152"),
        (
            ["resnet20", "--input", "3x32"],
            "--input: must be channels x height x width, got '3x32'. Write 3x32x32",
        ),
        (["resnet20", "--input", "3xax32"], "--input: must be channels x height x width, got '3xax32'"),
        (["resnet20", "--input", "0x32x32"], "--input: must be channels x height x width, got '0x32x32'"),
        (["resnet20", "--classes", "1"], "Invalid value for '--classes': 1 is not in the range x>=2."),
        (["vgg19", "--input", "3x8x8"], "vgg19: input_shape: must be at least 32x32 pixels"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read: No such file or directory."),
        (
            ["wrong.yaml"],
            "wrong.yaml:1: architecture.depth: must be 6n+2 for basic cifar blocks, got 21. Nearest: 20",
        ),
        ([], "Missing argument 'NAME|FILE...'. See: archsearch describe --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_described_is_said_in_one_paragraph(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "wrong.yaml").write_text("architecture: {depth: 21}\n")

    answer = call("describe", *arguments, cwd=tmp_path)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("archsearch: ")
    assert message in answer.err
    assert answer.err.count("\n") == 1
