"""Trials as a journal would tell them."""

from __future__ import annotations

from typing import Any

from archsearch.journal import ReplicateHistory, TrialHistory


def trial(
    number: int,
    depth: int,
    errors: dict[int, dict[str, float]],
    *,
    block: str = "plain",
    phase: str = "sweep",
    cell: dict[str, Any] | None = None,
    outcome: str = "complete",
    name: str = "",
    val_images: int | None = None,
) -> TrialHistory:
    """A trial with errors by seed and measure; a measure test_error was read from the test set."""
    replicates = {
        seed: ReplicateHistory(
            seed,
            outcome=outcome,
            metrics={name: value for name, value in measures.items() if name != "test_error"},
            test={name: value for name, value in measures.items() if name == "test_error"},
        )
        for seed, measures in errors.items()
    }
    return TrialHistory(
        number=number,
        created=0.0,
        name=name or f"{block}-{depth}",
        phase=phase,
        cell=cell or {},
        values={},
        architecture={"block": block, "depth": depth},
        architecture_id=f"v1:{number}",
        training={"epochs": 10},
        data={"name": "digits"},
        requested_depth=None,
        dropped=(),
        parameters=1000 * depth,
        macs=10 * depth,
        activation_mib=1.0,
        seeds=tuple(errors),
        optuna=None,
        outcome=outcome,
        objective_values=(1.0,) if outcome == "complete" else None,
        replicates=replicates,
        val_images=val_images,
    )


def cell(block: str, depth: int, **more: Any) -> dict[str, Any]:
    return {"architecture.block": block, "architecture.depth": depth, **more}
