"""A real browser opens what `archsearch ui` serves: MLflow's page still understands our views.

Needs Chromium and its driver (Debian: chromium, chromium-driver).
"""

import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from mlflow.tracking import MlflowClient

from archsearch.application.reporting import report_study
from archsearch.tracking import sync, view_link
from tests.tracking.studies import Study, varied_study

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--window-size=1900,1100",
)
LONGEST_WAIT_S = 90

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (CHROMIUM.exists() and DRIVER.exists()), reason="Chromium is not installed"),
]


def write_large_study(folder, trials=150):
    """Write a search of many trials, every tenth of which was pruned; return the errors of the others."""
    study, rng, errors = Study(folder, name="large", uid="uid-large").session(), random.Random(0), {}
    for number in range(trials):
        block, depth = rng.choice(["plain", "residual"]), rng.choice([8, 14, 20, 32, 44, 56, 110])
        error = round(rng.uniform(0.05, 0.1) + (depth / 400 if block == "plain" else 0), 4)
        study.trial(number, depth=depth, phase="search", block=block, width=16).started(number)
        study.epoch(number, 0, error * 4).epoch(number, 1, error * 2)
        if number % 10 == 3:
            study.replicate(number, "stopped").told(number, "pruned", "worse than the median")
        else:
            study.replicate(number, val_error=error, train_error=error / 2)
            study.told(number, value=1 - error, val_error=error, train_error=error / 2)
            errors[number] = error
    study.add("finished", reason="all trials are done").journal.close()
    (folder / "study.yaml").write_text("name: large\ndata: digits\n", encoding="utf-8")
    return errors


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Served(NamedTuple):
    """What `archsearch ui` serves.

    Attributes:
        address: Of the large study, as it is printed.
        errors: Of its finished trials.
        study_run: Address of its run of the study.
        small: Address of the other study.
    """

    address: str
    errors: dict[int, float]
    study_run: str
    small: str


@pytest.fixture(scope="module")
def served(tmp_path_factory, empty_store):
    root = tmp_path_factory.mktemp("served")
    (root / "mlflow.db").write_bytes(empty_store.read_bytes())
    uri = f"sqlite:///{root / 'mlflow.db'}"
    varied_study(root / "runs" / "depth").journal.close()
    small = sync(root / "runs" / "depth", uri).experiment_id
    errors = write_large_study(root / "runs" / "large")
    report_study("large", runs_folder=root / "runs")
    command = ["ui", "large", "--no-open", "--port", str(free_port()), "--uri", uri, "--runs-dir", "runs"]
    with subprocess.Popen(
        [sys.executable, "-u", "-c", "from archsearch.cli import main; main()", *command],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    ) as pages:
        try:
            address = next(line.strip() for line in pages.stdout if line.startswith("http"))
            server, _, page = address.partition("/#/")
            experiment = page.split("/")[1]
            [run] = MlflowClient(uri).search_runs([experiment], "tags.`archsearch.kind` = 'study'")
            study_run = f"{server}/#/experiments/{experiment}/runs/{run.info.run_id}"
            yield Served(address, errors, study_run, view_link(server, small))
        finally:
            pages.send_signal(signal.SIGINT)
            pages.wait(30)


@pytest.fixture
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


def wait_for(condition):
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "the page does not show it"
        time.sleep(0.5)
    return value


SCATTERS = """
return Object.fromEntries([...document.querySelectorAll('.js-plotly-plot')]
  .filter(chart => chart.data?.[0]?.mode === 'markers')
  .map(chart => [chart.layout.xaxis.title.text + ' ' + chart.layout.yaxis.title.text, {
    points: chart.data[0].x.map((x, i) => [Number(x), Number(chart.data[0].y[i])]),
    names: chart.data[0].customdata.map(names => names[1]),
    colours: chart.data[0].marker.color,
  }]))
"""


def scatters(browser, address):
    browser.get(address)
    expected = {"depth val_error", "depth train_error", "parameters val_error"}

    def drawn():
        found = browser.execute_script(SCATTERS)
        return (
            found if expected <= found.keys() and all(chart["points"] for chart in found.values()) else None
        )

    return wait_for(drawn)


def test_the_first_view_shows_every_finished_trial_of_a_large_study(browser, served):
    errors, charts = served.errors, scatters(browser, served.address)

    assert {name: len(chart["points"]) for name, chart in charts.items()} == {
        "depth val_error": len(errors),
        "depth train_error": len(errors),
        "parameters val_error": len(errors),
    }
    chart = charts["depth val_error"]
    assert sorted(error for _, error in chart["points"]) == pytest.approx(sorted(errors.values()))
    assert len(set(chart["names"])) == len(errors), "the mouse tells trials apart"
    families = [set(), set()]
    for name, colour in zip(chart["names"], chart["colours"], strict=True):
        families[name.startswith("residual")].add(colour)
    assert all(families)
    assert families[0].isdisjoint(families[1])


def test_trials_that_came_to_no_end_are_no_points(browser, served):
    charts = scatters(browser, served.small)
    # Of the varied study the complete one, the repeated one and that with several seeds.
    depths, errors = zip(*charts["depth val_error"]["points"], strict=True)
    assert depths == (20, 20, 20)
    assert errors == pytest.approx([0.025] * 3)


def test_parallel_coordinates_and_bars_are_drawn_too(browser, served):
    scatters(browser, served.address)
    wait_for(lambda: "Parallel Coordinates" in browser.page_source)
    browser.execute_script(
        "[...document.querySelectorAll('*')].filter(e => e.textContent === 'Parallel Coordinates')"
        ".at(-1).scrollIntoView()"
    )
    bars = "return [...document.querySelectorAll('.js-plotly-plot')].some(e => e.data?.[0]?.type === 'bar')"
    wait_for(lambda: browser.execute_script(bars))
    wait_for(lambda: browser.execute_script("return document.querySelectorAll('.parcoords').length"))


def test_learning_curves_are_drawn(browser, served):
    browser.get(served.address.replace("depth-vs-performance", "learning-curves"))
    lines = (
        "return [...document.querySelectorAll('.js-plotly-plot')]"
        ".map(e => (e.data || []).filter(t => t.mode === 'lines+markers' && t.x.length === 2).length)"
    )
    # The losses; the study reports no accuracies, and empty charts are left out.
    wait_for(lambda: browser.execute_script(lines) == [20, 20])


def table(address, view):
    return address.replace("compareRunsMode=CHART&", "").replace("depth-vs-performance", view)


CELLS = """
return [...document.querySelectorAll('.ag-center-cols-container .ag-row')]
  .map(row => [Number(row.getAttribute('row-index')), row.querySelector('[col-id*=val_error]')])
  .filter(([_, cell]) => cell).sort(([a], [b]) => a - b).map(([_, cell]) => cell.textContent)
"""


def test_the_leaderboard_is_sorted_by_validation_error(browser, served):
    errors = served.errors
    browser.get(table(served.address, "leaderboard"))
    wait_for(lambda: re.search(rf"{len(errors)}\D*matching runs", re.sub("<[^>]*>", "", browser.page_source)))
    shown = [float(text) for text in wait_for(lambda: browser.execute_script(CELLS))]

    assert len(shown) > 10
    assert shown == sorted(shown)
    assert shown[0] == min(errors.values())


def test_all_views_are_offered(browser, served):
    browser.get(served.address)
    offered = "//button[contains(., 'Depth vs performance')]"
    [menu] = wait_for(lambda: browser.find_elements("xpath", offered))
    menu.click()
    for name in ("Learning curves", "Leaderboard", "Outcomes"):
        wait_for(lambda name=name: name in browser.page_source)


def text_of(browser):
    """What the page shows, however many elements it is spread over."""
    return " ".join(browser.execute_script("return document.body.innerText").split())


def test_how_trials_ended_is_told_apart(browser, served):
    browser.get(table(served.small, "outcomes"))
    for outcome in ("complete", "pruned", "infeasible", "repeated", "failed: loss became NaN"):
        wait_for(lambda outcome=outcome: f"Group: {outcome} " in text_of(browser))
    assert "worse than the median" in text_of(browser)


def test_runs_are_grouped_by_family(browser, served):
    browser.get(table(served.address, "leaderboard"))
    [menu] = wait_for(lambda: browser.find_elements("xpath", "//button[contains(., 'Group by')]"))
    menu.click()
    family = "//*[@role='menuitemcheckbox'][normalize-space()='block']"
    wait_for(lambda: browser.find_elements("xpath", family))[0].click()
    for family in ("plain", "residual"):
        wait_for(lambda family=family: f"Group: {family} " in text_of(browser))


PICTURES = """
return [...document.querySelectorAll('img')].filter(one => one.src.includes('get-artifact'))
  .map(one => [new URL(one.src).searchParams.get('path'), one.complete && one.naturalWidth])
"""


def test_the_studys_run_shows_the_pictures_of_the_report(browser, served):
    browser.get(served.study_run)
    shown = wait_for(lambda: browser.execute_script(PICTURES))
    wait_for(lambda: all(width for _, width in browser.execute_script(PICTURES)))
    room = browser.execute_script("return document.documentElement.clientWidth")
    assert all(width < room / 2 for _, width in browser.execute_script(PICTURES)), "the rest has room"
    assert [path for path, _ in shown] == [
        f"report/small/{name}.png" for name in ("depth_curve", "costs", "learning_curves")
    ]
    text = wait_for(lambda: found if "Best:" in (found := text_of(browser)) else None)
    assert "Finished: all trials are done" in text
    assert "digits" in text
