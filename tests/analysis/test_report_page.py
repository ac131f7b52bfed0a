"""The page stands alone, says everything in words, and stays light."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from archsearch.analysis import compare_curves, depth_curves, judge, read_curves, recommend
from archsearch.analysis.predictor_ranks import rank_predictors
from archsearch.analysis.report_page import write_page
from archsearch.analysis.report_plots import draw_pictures
from archsearch.journal import ReplicateHistory, StudyHistory, TrialHistory
from archsearch.search.ranking import reported_trials
from tests.analysis.trials import cell, trial

HEADER = {
    "name": "deep & wide",
    "uid": "0123",
    "text": "name: <deep>\n",
    "classes": 10,
    "train_images": 1000,
    "data_fingerprint": "f00d",
    "versions": {"torch": "2.13.0"},
}


def errors(*values: float) -> dict[int, dict[str, float]]:
    return {seed: {"train_error": value, "val_error": value + 0.1} for seed, value in enumerate(values)}


def sweep(depths: list[int]) -> list[TrialHistory]:
    return [
        trial(number, depth, errors(0.001 * depth, 0.0012 * depth, 0.0011 * depth), cell=cell("plain", depth))
        for number, depth in enumerate(depths)
    ]


def write(trials: list[TrialHistory], path: Path, history: StudyHistory | None = None) -> str:
    told = StudyHistory(header=HEADER, trials={t.number: t for t in trials}, finished="all has ended")
    history = history or told
    curves, readings = depth_curves(trials), read_curves(history)
    write_page(
        path,
        history,
        curves=curves,
        verdicts=[judge(reading.results) for reading in readings],
        comparisons=compare_curves(readings),
        recommendation=recommend(reported_trials(trials)),
        pictures=draw_pictures(history, curves),
        predictors=rank_predictors(history.trials.values()),
    )
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(sweep([8, 20, 56, 110]), tmp_path_factory.mktemp("page") / "report.html")


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    loading = {"script", "link", "img", "iframe", "object", "image"}
    elements = Elements(page).found

    assert not [tag for tag, _ in elements if tag in loading]
    links = [value for _, given in elements for name, value in given.items() if "href" in name and value]
    assert all(link.startswith("#") for link in links)
    assert "url(http" not in page


def test_it_opens_with_the_conclusion(page: str) -> None:
    text = re.sub(r"<[^>]+>", "", page[page.index("<main>") :])

    assert text.split()[0] == "block=plain:"
    assert text.index("degrades") < text.index("Recommendation.") < text.index("Depth against error")


def test_pictures_can_be_read_aloud(page: str) -> None:
    figures = [given for tag, given in Elements(page).found if tag == "figure"]

    assert len(figures) == 2
    assert all(given["role"] == "img" for given in figures)
    errors, costs = (str(given["aria-label"]) for given in figures)
    assert "training error by depth: depth 8: 0.9%" in errors
    assert "validation error by depth: depth 8: 10.9%" in errors
    assert "depth 8, 8,000 parameters, validation error 10.9%" in costs
    assert page.count("<svg") == len(figures)
    assert "depth (weighted layers)</text>" in page


def test_what_a_study_is_called_is_no_markup(page: str) -> None:
    assert "<title>deep &amp; wide: report</title>" in page
    assert "name: &lt;deep&gt;" in page


# What a folder or a file may be called, and a study may say.
NASTY = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{7*7}}$\\frac{a}$ $x^$ ]]>--><b>"


def test_no_name_or_value_becomes_markup_or_mathematics(tmp_path: Path) -> None:
    trials = [
        replace(t, cell={**t.cell, "data.root": NASTY}, name=NASTY, values={"data.root": NASTY}, reason=NASTY)
        for t in sweep([8, 20, 56])
    ]
    nasty = dict.fromkeys(("name", "uid", "text", "data_fingerprint", "archsearch"), NASTY)
    history = StudyHistory(
        header={**HEADER, **nasty, "versions": {NASTY: NASTY}},
        question={"text": NASTY, "source": NASTY},
        compute={"device": NASTY, "reason": NASTY},
        trials={t.number: t for t in trials},
        finished=NASTY,
    )

    text = write(trials, tmp_path / "report.html", history)

    elements = Elements(text).found
    assert not {tag for tag, _ in elements} & {"script", "img", "b", "iframe"}
    assert not [name for _, given in elements for name in given if name.startswith("on")]
    assert "<script" not in text
    assert r"$\frac{a}$" in text[text.index("<svg") : text.index("</svg>")]


def test_images_are_those_of_each_network_and_not_of_the_study(tmp_path: Path) -> None:
    few, many = (
        trial(n, 8, errors(0.2), cell=cell("plain", 8, **{"data.train_limit": n}), val_images=images)
        for n, images in enumerate((100, 10_000))
    )
    few, many = replace(few, train_images=500, classes=10), replace(many, train_images=1500, classes=10)

    text = write([few, many], tmp_path / "report.html")

    # Wilson's interval of 30 % (Wilson 1927), worked by hand
    assert "21.89% to 39.58%" in text
    assert "29.11% to 30.91%" in text
    assert "2 trials on digits (500 to 1,500 training images, 10 classes)" in text


def test_it_says_how_it_can_be_made_again(page: str) -> None:
    origin = page[page.index("To make it again") :]

    assert "archsearch run study.yaml" in origin
    assert "f00d" in origin
    assert "torch 2.13.0" in origin


def test_the_same_results_give_the_same_page(tmp_path: Path, page: str) -> None:
    assert write(sweep([8, 20, 56, 110]), tmp_path / "report.html") == page


def test_a_first_proposal_that_could_not_be_built_and_a_study_that_only_failed_have_a_page(
    tmp_path: Path,
) -> None:
    unbuilt = replace(
        trial(0, 8, {}, phase="search", outcome="infeasible"), data={}, architecture={}, training={}
    )
    text = write([unbuilt, *[replace(t, number=t.number + 1) for t in sweep([8, 20])]], tmp_path / "one.html")
    assert "3 trials on digits" in text

    failed = ReplicateHistory(0, outcome="failed", reason="not a number in epoch 1")
    broken = [
        replace(t, outcome="failed", objective_values=None, replicates={0: failed}, seeds=(0,))
        for t in sweep([8, 20])
    ]
    text = write(broken, tmp_path / "two.html")
    assert "diverges" in text
    assert "None yet: no network has ended well." in text


def test_a_folder_of_images_goes_by_its_own_name(tmp_path: Path) -> None:
    photographs = {"name": "image_folder", "root": "data/cifar10"}
    text = write([replace(t, data=photographs) for t in sweep([8, 20])], tmp_path / "report.html")
    assert "trials on cifar10" in text


@pytest.mark.slow
def test_a_sweep_of_five_hundred_cells_stays_light_and_legible(tmp_path: Path) -> None:
    profile = {"gradient_norm": [10.0**-i for i in range(30)], "response_std": [1.0] * 30}
    epochs = tuple({"train_loss": 2.0 / (1 + epoch), "val_error": 0.5 / (1 + epoch)} for epoch in range(30))
    trials = []
    for number in range(500):
        depth, width = 8 + 6 * (number % 10), 1 + number // 10
        one = trial(
            number, depth, errors(0.1, 0.11, 0.12), cell=cell("plain", depth, **{"architecture.width": width})
        )
        replicates = {
            seed: replace(replicate, epochs=epochs, profiles={0: profile, 29: profile})
            for seed, replicate in one.replicates.items()
        }
        trials.append(replace(one, replicates=replicates))

    text = write(trials, tmp_path / "report.html")

    assert len(text.encode()) < 8 * 2**20
    assert "38 more curves" in text
    assert "300 comparisons, those with the smallest p values of" in text
    assert "Of 50 curves the 12 with the lowest validation error." in text
    assert text.count("<details>") > text.count("<details open>")


@pytest.mark.slow
def test_five_hundred_trials_stay_light(tmp_path: Path) -> None:
    searched = [
        trial(number, 8 + 6 * (number % 30), errors(0.3 / (1 + number % 30)), phase="search")
        for number in range(500)
    ]

    text = write(searched, tmp_path / "report.html")

    assert len(text.encode()) < 8 * 2**20
    assert text.count('<tr><td class="number">') == 500


def test_free_predictors_are_judged_where_a_study_asked_for_them(tmp_path: Path, page: str) -> None:
    assert "Free predictors" not in page
    trials = [
        replace(
            trial(number, number, errors(0.5 - number / 100), name=f"plain-{number}"),
            metrics={"val_error": 0.5 - number / 100},
            predictors={"grad_norm": 1.0, "synflow": float(number), "naswot": None},
        )
        for number in range(1, 13)
    ]
    rejected = replace(trials[0], number=99, outcome="infeasible", score=0.5, objective_values=None)
    text = write([*trials, rejected], tmp_path / "report.html")

    section = text[text.index("Free predictors") : text.index("All trials")]
    rows = [re.sub(r"<[^>]+>", "|", row) for row in re.findall(r"<tr>(.*?)</tr>", section, re.DOTALL)[1:]]
    assert [row.strip("|").split("|")[0] for row in rows] == [
        *("parameters", "macs", "grad_norm"),
        *("synflow", "naswot"),
    ]
    assert "1.00 (1.00 to 1.00)" in rows[3]
    assert "higher goes with better" in rows[3]
    assert "does not tell them apart" in rows[2]
    assert "too few networks to say (below 10)" in rows[4]
    assert "The prefilter kept 1 proposal from being trained" in section
