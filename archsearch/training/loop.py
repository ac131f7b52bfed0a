"""The training of one replicate, or of several packed into one network, on Lightning Fabric.

A lean loop over the same LightningModule and LightningDataModule that a stock Trainer takes: a Trainer costs
about 3 ms a step whatever the network, more than a step of a small network itself.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

from lightning_fabric import Fabric

from archsearch.training.failure import describe_failure
from archsearch.training.group import Group
from archsearch.training.memory import return_memory
from archsearch.training.values import TRAINED_ALONE, EpochReport, Job, Outcome, Pack, Result, as_pack

Events = Generator[EpochReport | Result, bool | None, None]


def train(
    work: Job | Pack, fabric: Fabric | None = None
) -> Generator[EpochReport | Result, bool | None, Result]:
    """Train one replicate, or those of a pack together; a report after each epoch, a result at the end.

    Everything random follows from a job's seed: on a CPU, two runs of a job give the same bits, and packed it
    gives the same up to rounding. Sending True after a report ends that replicate with outcome ``stopped``.
    Whatever goes wrong is an outcome too: ``failed``, with the reason. The results of a pack are yielded as
    they come; the last one is returned.

    Args:
        work: A job or a pack.
        fabric: Of one of several ranks that train a single job together, see
            `archsearch.training.distributed`; made where not given.
    """
    jobs = as_pack(work).jobs
    left, failed = len(jobs), False
    events = _train(jobs, fabric)
    try:
        event = next(events)
        while True:
            if isinstance(event, Result):
                left, failed = left - 1, failed or event.outcome == "failed"
                if not left:
                    return event
            event = events.send((yield event))
    finally:
        events.close()
        if (device := jobs[0].compute.device) != "cpu":
            return_memory(device, thoroughly=failed)


def _train(jobs: Sequence[Job], fabric: Fabric | None = None, note: str = "") -> Events:
    """Train jobs together; what cannot be is trained one by one, and says so in its `note`."""
    epochs, begun = 0, False
    group: Group | None = None
    under_way = {job.replicate: job for job in jobs}
    alone: list[Job] = []
    why_alone = ""

    def end(job: Job, outcome: Outcome, reason: str = "", metrics: dict[str, float] | None = None) -> Result:
        del under_way[job.replicate]
        notes = [note, group.step.note if group else ""]
        return Result(
            job.trial, job.seed, outcome, reason, epochs, metrics or {}, "; ".join(filter(None, notes))
        )

    try:
        group = Group(jobs, fabric)
        while under_way and epochs < jobs[0].training.epochs:
            rows = group.train_epoch(epochs)
            begun = True
            broken = [job for job, metrics, _ in rows if not _is_finite(metrics)]
            if len(broken) > 1:
                # whose fault it was cannot be told: in bfloat16 there are kernels that multiply a neighbour's
                # values by zero, and zero times what is not a number is not a number
                alone += broken
                why_alone = f"several of the pack were not a number in epoch {epochs + 1}"
                for job in broken:
                    del under_way[job.replicate]
            elif broken:
                ratio = next(metrics for job, metrics, _ in rows if job in broken).get(
                    "gradient_ratio", math.nan
                )
                # Before the first step there were gradients yet, which may say why.
                said = {"gradient_ratio": ratio} if epochs == 0 and math.isfinite(ratio) else {}
                yield end(broken[0], "failed", f"not a number in epoch {epochs + 1}", said)
            epochs += 1
            for job, metrics, profile in rows:
                if job in broken:
                    continue
                if (yield EpochReport(job.trial, job.seed, epochs - 1, metrics, profile)):
                    yield end(job, "stopped", f"asked to stop after {epochs} epochs", group.summarize(job))
            group.keep(list(under_way.values()))
        for job in list(under_way.values()):
            try:
                metrics = group.finish(job)
            except Exception as error:  # noqa: BLE001 - of this replicate alone, such as a full disk
                yield end(job, "failed", describe_failure(error))
            else:
                yield end(job, "complete", metrics=metrics)
    except Exception as error:  # noqa: BLE001 - failure is an outcome, recorded with its reason
        reason = describe_failure(error)
        if len(jobs) > 1 and not begun:
            alone, why_alone = list(jobs), reason
        else:
            for job in list(under_way.values()):
                yield end(job, "failed", reason)
    # out of the handler, and without the group, whose memory the others may need
    group = None
    for job in alone:
        yield from _train([job], fabric, f"{TRAINED_ALONE}: {why_alone}")


def _is_finite(metrics: dict[str, float]) -> bool:
    return math.isfinite(metrics["train_loss"]) and math.isfinite(metrics["val_loss"])
