from __future__ import annotations

import pytest
from scipy import stats

from archsearch.statistics.contrasts import difference
from archsearch.statistics.samples import Sample
from experiments.findings import Finding, Part, above, answer_by, answer_exactly, below, within

FIRST, SECOND = (0.10, 0.12, 0.11), (0.17, 0.19, 0.15, 0.18)


def compare() -> object:
    return difference(Sample.of(FIRST), Sample.of(SECOND))


def test_the_interval_is_that_of_welchs_test() -> None:
    part = answer_by(compare(), above(0), "second is larger")

    expected = stats.ttest_ind(SECOND, FIRST, equal_var=False).confidence_interval(0.95)
    assert (part.low, part.high) == pytest.approx((expected.low, expected.high))


def test_of_a_family_of_questions_each_interval_is_wider() -> None:
    part = answer_by(compare(), above(0), "second is larger", family=5)

    expected = stats.ttest_ind(SECOND, FIRST, equal_var=False).confidence_interval(0.99)
    assert (part.low, part.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("expected", "interval", "answer"),
    [
        (above(0.01), (0.02, 0.05), "confirmed"),
        (above(0.01), (0.005, 0.05), "undecided"),
        (above(0.01), (-0.02, 0.005), "refuted"),
        (below(0), (-0.03, -0.01), "confirmed"),
        (below(0), (-0.03, 0.01), "undecided"),
        (below(0), (0.01, 0.02), "refuted"),
        (within(0.02), (-0.01, 0.015), "confirmed"),
        (within(0.02), (-0.01, 0.03), "undecided"),
        (within(0.02), (0.03, 0.05), "refuted"),
    ],
)
def test_the_whole_interval_decides(expected: object, interval: tuple[float, float], answer: str) -> None:
    assert expected.answer(*interval) == answer


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        (["confirmed", "confirmed"], "confirmed"),
        (["refuted", "refuted"], "refuted"),
        (["confirmed", "refuted"], "in part"),
        (["confirmed", "undecided"], "in part"),
        (["refuted", "undecided"], "refuted in part"),
        (["undecided"], "undecided"),
    ],
)
def test_a_claim_is_no_more_than_its_answers(answers: list[str], verdict: str) -> None:
    assert Finding(tuple(Part("", "points", 0.0, 0.0, 0.0, answer) for answer in answers)).verdict == verdict


def test_what_was_counted_is_told_and_takes_no_part_in_the_verdict() -> None:
    asked = Part("errors differ", "points", 0.0, 0.0, 0.0, "undecided")
    counted = answer_exactly(8.0, above(7.9), "deeper", unit="factor", counted=True)

    finding = Finding((counted, asked, asked))

    assert finding.verdict == "undecided"
    assert finding.conclusion == "**Undecided**: of 2 questions 2 undecided. Counted besides: 1 confirmed."
    assert (counted.answered, asked.answered) == ("confirmed (counted)", "undecided")


def test_a_conclusion_names_what_was_refuted() -> None:
    parts = tuple(
        Part(what, "points", 0.0, 0.0, 0.0, answer)
        for what, answer in (("rises", "refuted"), ("falls", "undecided"))
    )

    assert Finding(parts).conclusion == (
        "**Refuted in part**: of 2 questions 1 refuted and 1 undecided. Refuted: rises."
    )


def test_what_was_not_measured_is_undecided_and_says_so() -> None:
    part = answer_by(None, above(0), "x")

    assert (part.answer, part.measured) == ("undecided", "not measured")


def test_points_factors_and_what_was_counted_are_written_for_people() -> None:
    assert Part("", "points", 0.023, 0.011, 0.035, "confirmed").measured == "+2.30 points (+1.10 to +3.50)"
    assert answer_exactly(8.0, above(1), "deeper", unit="factor").measured == "8"
    # The mean of logarithms 2 and 4 is that of a thousand.
    one, two = Sample.of([0.0, 0.0]), Sample.of([2.0, 4.0])
    assert answer_by(difference(one, two), above(0), "x", unit="factor").estimate == pytest.approx(1000)
