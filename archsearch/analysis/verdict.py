"""The verdict on a curve: one word, a sentence, the evidence, and doubts that stand beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archsearch.analysis.curve_results import CurveResults
from archsearch.analysis.verdict_evidence import build_evidence
from archsearch.analysis.verdict_rule import Kind, decide
from archsearch.analysis.verdict_sentences import say_what_would_decide, write_sentence
from archsearch.analysis.verdict_warnings import find_warnings


@dataclass(frozen=True)
class Verdict:
    """What one curve shows.

    Attributes:
        curve: Its label.
        family: Its block.
        kind: The verdict.
        sentence: The same in words: ``At 12 epochs, block=plain: degrades beyond depth 20. …``
        evidence: The numbers, as JSON's values.
        warnings: Doubts about its validity.
        deciding: What would decide an undecided one.
        deciding_study: The study that would, as YAML, where depth was searched.
    """

    curve: str
    family: str
    kind: Kind
    sentence: str
    evidence: dict[str, Any]
    warnings: tuple[str, ...]
    deciding: str = ""
    deciding_study: str = ""

    def to_mapping(self) -> dict[str, Any]:
        """As JSON's values."""
        return {
            "curve": self.curve,
            "family": self.family,
            "verdict": self.kind,
            "sentence": self.sentence,
            "evidence": self.evidence,
            "warnings": list(self.warnings),
            "deciding": self.deciding,
            "deciding_study": self.deciding_study,
        }


def judge(curve: CurveResults) -> Verdict:
    """Say what a curve shows."""
    decision = decide(curve)
    return Verdict(
        curve.label,
        curve.family,
        decision.kind,
        write_sentence(curve, decision),
        build_evidence(curve, decision),
        find_warnings(curve, decision),
        say_what_would_decide(decision),
        curve.deciding_study if decision.reason == "searched" else "",
    )
