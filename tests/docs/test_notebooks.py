"""The notebooks run as they stand, and show studies, plans, results, reports and networks."""

from __future__ import annotations

import json
import os
import re
import shutil
import sysconfig
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))

# Titles and headers of what a cell gives out, in order.
SHOWN = {
    "from_a_study_to_a_report.ipynb": (
        r"<b>notebook-depth</b>.*Do plain networks get worse with depth",
        r"6 cells, 6 trials, 18 trainings.*residual-32",
        r"Best of notebook-depth.*6 complete",
        r"train_error.*residual-32",
        r"<th[^>]*>verdict</th>.*block=plain.*block=residual.*report\.html",
        r"9 × Block.*853,018",
    ),
    "adding_your_own_block.ipynb": (
        r"4 cells, 4 trials, 12 trainings.*squeeze_excite-20",
        r"Best of notebook-block.*squeeze_excite-20.*4 complete",
        r"p_adjusted.*block=squeeze_excite",
        r"block=squeeze_excite.*report\.html",
    ),
}
PICTURES = {"from_a_study_to_a_report.ipynb": 3, "adding_your_own_block.ipynb": 0}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_what_it_gave_out(path: Path) -> None:
    code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]

    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_shows_what_it_speaks_of(
    path: Path, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbclient
    import nbformat

    shutil.copy(empty_store, tmp_path / "mlflow.db")
    # What it installs goes there, and not into the environment of the tests.
    monkeypatch.setenv("PIP_PREFIX", str(tmp_path))
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path)}))
    packages.mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(packages)]))
    notebook = nbformat.read(path, as_version=4)

    nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()

    given = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    tables = [output.data["text/html"] for output in given if "text/html" in output.get("data", {})]
    assert len(tables) == len(SHOWN[path.name])
    for table, expected in zip(tables, SHOWN[path.name], strict=True):
        assert re.search(expected, table, re.DOTALL), table
    assert sum("image/png" in output.get("data", {}) for output in given) == PICTURES[path.name]
