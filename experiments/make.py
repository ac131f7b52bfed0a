"""Measure a claim again: run its studies, bring back its results, say what they show.

    python -m experiments.make 04_depth
    python -m experiments.make 04_depth --full
    python -m experiments.make --pages

From the root of the repository. Interrupted, the same command goes on where it stopped; what a study has
trained already is not trained again. Tables and pictures go to `experiments/NAME/results`, those of `--full`,
which wants a GPU, to `results_full`; then the pages are written anew. Of several claims each is made,
whatever becomes of the others. `--pages` writes the pages alone, from the tables that are there, and
`--table` writes `benchmarks/tables/cifar10.csv.gz` from the trainings of the claims on CIFAR-10, for
`benchmarks.search_quality` to replay. `--images` downloads CIFAR-10 and writes its images to `data/cifar10`,
where the studies look for them.
"""

from __future__ import annotations

import argparse
import shutil
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archsearch import Study
from archsearch.analysis.wording import listed
from archsearch.study import StudyConfig, load_study
from experiments.claims import CLAIMS, Claim
from experiments.findings import Finding
from experiments.gathering import Ran, gather_trainings, write_report
from experiments.images import write_images
from experiments.pages import find_finding, write_answers, write_pages
from experiments.table import write_recorded_table

Overrides = Mapping[str, Mapping[str, Any]]


def make(
    claim: Claim,
    *,
    full: bool = False,
    runs_folder: Path = Path("runs"),
    results: Path | None = None,
    overrides: Overrides | None = None,
) -> Finding:
    """Run the studies of a claim and write its results.

    Args:
        claim: The claim.
        full: Whether its full studies are run.
        runs_folder: Folder of all run folders.
        results: Folder of the results; the claim's own where left out.
        overrides: Values that replace what stands in a study's file, see `load_study`, by the name that the
            claim has for it.

    Raises:
        InputError: A study's file is wrong, or asks for what is not installed.
        SystemExit: A study did not come to its end.
    """
    folders = {}
    for name, config in load_studies(claim, full=full, overrides=overrides).items():
        study = Study(config, runs_folder=runs_folder)
        print(f"{claim.name}: {config.name}")
        study.run()
        if study.folder.history().finished is None:
            raise SystemExit(f"{config.name} is not finished: the same command goes on with it.")
        folders[name] = study.folder
    # Put in place when whole: of half a folder no page could be written.
    with TemporaryDirectory() as place:
        ran = Ran(folders, Path(place))
        for gather in claim.gather:
            gather(ran)
        for study_name in dict.fromkeys(study for study, _ in claim.pictures):
            write_report(folders[study_name])
        for study_name, picture in claim.pictures:
            ran.copy(study_name, picture)
        gather_trainings(ran)
        finding = find_finding(claim, ran.results)
        assert finding is not None
        write_answers(finding, ran.results)
        shutil.copytree(ran.results, results or claim.results(full=full), dirs_exist_ok=True)
    return finding


def load_studies(
    claim: Claim, *, full: bool = False, overrides: Overrides | None = None
) -> dict[str, StudyConfig]:
    """Load the studies of a claim by the names that it has for them; see `make`."""
    return {
        name: load_study(path, (overrides or {}).get(name)) for name, path in claim.files(full=full).items()
    }


def make_all(claims: Sequence[Claim], *, full: bool = False, runs_folder: Path = Path("runs")) -> list[str]:
    """Make claims one after the other, and write the pages after each; one that fails keeps none waiting.

    Returns:
        The names of those that failed.

    Raises:
        InputError: A study's file is wrong, or asks for what is not installed: nothing was run.
    """
    for claim in claims:
        load_studies(claim, full=full)
    failed = []
    for claim in claims:
        try:
            finding = make(claim, full=full, runs_folder=runs_folder)
            print(finding.conclusion)
            write_pages()
        except (Exception, SystemExit):  # noqa: BLE001 - hours of other claims do not wait for this one
            traceback.print_exc()
            failed.append(claim.name)
    return failed


def _find_claim(name: str) -> Claim:
    # Not by choices, among which argparse looks for the empty list, too.
    if name not in CLAIMS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(CLAIMS)}")
    return CLAIMS[name]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("claims", nargs="*", type=_find_claim, metavar="NAME", help=", ".join(CLAIMS))
    parser.add_argument("--full", action="store_true", help="the full studies, which want a GPU")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--pages", action="store_true", help="write the pages alone")
    parser.add_argument("--table", action="store_true", help="write the recorded table alone")
    parser.add_argument("--images", action="store_true", help="write CIFAR-10 to data/cifar10 first")
    arguments = parser.parse_args()
    if not (arguments.claims or arguments.pages or arguments.table or arguments.images):
        parser.error("name a claim, or give --pages, --table or --images")
    if arguments.images:
        write_images()
    failed = make_all(arguments.claims, full=arguments.full, runs_folder=arguments.runs_dir)
    if arguments.table:
        write_recorded_table(arguments.runs_dir)
    if arguments.pages:
        write_pages()
    if failed:
        raise SystemExit(f"{listed(failed)} failed, as said above: the same command goes on with them.")


if __name__ == "__main__":
    main()
