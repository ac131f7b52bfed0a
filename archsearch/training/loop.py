"""The training of one replicate, or of several packed into one network, on Lightning Fabric.

A lean loop over the same LightningModule and LightningDataModule that a stock Trainer takes: a Trainer costs
about 3 ms a step whatever the network, more than a step of a small network itself.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

# Every optimizer imports it in its first step, for more than a second: now the workers' server does, once.
import torch._dynamo  # noqa: F401
from lightning_fabric import Fabric

from archsearch.errors import CheckpointError
from archsearch.training.checkpointing import Checkpoints, Start, find_starts, restore, say_unused
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

    Where an earlier attempt left its state, it is gone on from: the epochs trained already are reported
    again, as recalled, and what follows is to the bit what the earlier attempt would have come to, on a CPU
    and with the same jobs together.

    Args:
        work: A job or a pack.
        fabric: Of one of several ranks that train a single job together, see
            `archsearch.training.distributed`; made where not given.
    """
    jobs = as_pack(work).jobs
    left, failed = len(jobs), False
    events = _go_on(jobs, fabric)
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


def _go_on(jobs: Sequence[Job], fabric: Fabric | None) -> Events:
    """Train jobs from where earlier attempts left them."""
    try:
        starts = find_starts(jobs, fabric)
    except Exception:  # noqa: BLE001 - the training meets it too, and makes an outcome of it
        starts = [(list(jobs), Start())]
    for together, start in starts:
        yield from _train(together, fabric, start)


def _train(jobs: Sequence[Job], fabric: Fabric | None, start: Start, note: str = "") -> Events:
    """Train jobs together; what cannot be is trained one by one, and says so in its `note`."""
    epochs, begun = start.epochs, False
    group: Group | None = None
    checkpoints: Checkpoints | None = None
    under_way = {job.replicate: job for job in jobs}
    alone: list[tuple[Job, Start]] = []
    why_alone = ""

    def end(job: Job, outcome: Outcome, reason: str = "", metrics: dict[str, float] | None = None) -> Result:
        del under_way[job.replicate]
        notes = [
            note,
            start.notes.get(job.replicate, ""),
            group.step.note if group else "",
            checkpoints.note if checkpoints else "",
        ]
        return Result(
            job.trial, job.seed, outcome, reason, epochs, metrics or {}, "; ".join(filter(None, notes))
        )

    def end_stopped(job: Job) -> Result:
        assert group is not None
        return end(job, "stopped", f"asked to stop after {epochs} epochs", group.summarize(job))

    try:
        group = Group(jobs, fabric)
        if epochs:
            try:
                restore(group, start)
            except CheckpointError as error:
                epochs, start = 0, Start(notes=dict.fromkeys(under_way, say_unused(error)))
        checkpoints = Checkpoints(jobs, start)
        whole = jobs[0].training.epochs
        for job, report in start.recall(jobs):
            if job.replicate in under_way and (yield report) and epochs < whole:
                yield end_stopped(job)
        group.keep(list(under_way.values()))
        last = min(whole, jobs[0].pause_after or whole)
        while under_way and epochs < last:
            rows = group.train_epoch(epochs)
            begun = True
            broken = [job for job, metrics, _ in rows if not _is_finite(metrics)]
            if len(broken) > 1:
                # whose fault it was cannot be told: in bfloat16 there are kernels that multiply a neighbour's
                # values by zero, and zero times what is not a number is not a number
                alone += [(job, Start()) for job in broken]
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
                checkpoints.note_epoch(job, metrics, profile)
                report = EpochReport(job.trial, job.seed, epochs - 1, metrics, profile)
                # After its last epoch there is nothing left to stop: a wish that comes so late is of no use.
                if (yield report) and epochs < whole:
                    yield end_stopped(job)
            group.keep(list(under_way.values()))
            if under_way and (epochs < last or epochs == whole):
                checkpoints.write_if_due(group)
        if under_way and epochs < whole:
            checkpoints.write(group)
            for job in list(under_way.values()):
                yield end(job, "paused", metrics=group.summarize(job))
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
            alone, why_alone = [(job, start) for job in under_way.values()], reason
        else:
            for job in list(under_way.values()):
                yield end(job, "failed", reason)
    # out of the handler, and without the group, whose memory the others may need
    group = None
    for job, start_alone in alone:
        yield from _train([job], fabric, start_alone, f"{TRAINED_ALONE}: {why_alone}")


def _is_finite(metrics: dict[str, float]) -> bool:
    return math.isfinite(metrics["train_loss"]) and math.isfinite(metrics["val_loss"])
