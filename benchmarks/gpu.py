"""What a GPU gives: images a second by arithmetic, capturing and packing, trials an hour, and a depth sweep.

    python -m benchmarks.gpu --output benchmarks/results/gpu.json
    python -m benchmarks.gpu --data cifar10.npz --parts sweep

Takes less than ten minutes on a present GPU; each part is written out when it is done. Without a CUDA
device it ends with exit code 2; `--device cpu --smoke` runs all of it on tiny tasks, to see that it runs.

Protocol. Images are 32 x 32 x 3 on the device, synthetic ones or those of an .npz file (`--data`; as the data
source `arrays` reads it), batches of 128, random crops and flips, SGD with momentum.

`throughput`: training steps of ResNet-20 and ResNet-56 of width 16, batches and augmentation inside the
clock, evaluation outside. All variants of a network take turns, round by round, for about `--seconds` each
after a warm-up; given are images a second (of a pack, of all its replicates together).

`trials`: 16 replicates of ResNet-20 in bfloat16, channels last, captured, two epochs each: one after the
other in one worker, packed, in several workers on the one GPU, and both. Workers are warm: each has trained
an epoch before. The clock runs from the first submission to the last result. Variants take turns, for half
the rounds.

`sweep`: `archsearch run` on plain and residual networks of twelve depths (24 networks), three epochs each,
everything else left to be chosen, MLflow off; wall clock of the command, everything inside.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from archsearch.architecture import resolve_architecture
from archsearch.data import load_dataset
from archsearch.errors import ArchsearchError
from archsearch.execution import LocalExecutor
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import Compute, Job, Pack, Result, train
from archsearch.training.memory import return_memory
from archsearch.training.occupancy import Loop
from benchmarks.machine import summarize, write_result

_WARM_UP_STEPS = 5


@dataclass(frozen=True)
class Scale:
    """How large the tasks are."""

    samples: int = 50_000
    batch_size: int = 128
    width: int = 16
    networks: tuple[int, ...] = (20, 56)
    packs: tuple[int, ...] = (2, 4, 8, 16)
    replicates: int = 16
    trial_samples: int = 25_000
    workers: tuple[int, ...] = (2, 4, 8)
    depths: tuple[int, ...] = (8, 14, 20, 26, 32, 38, 44, 50, 56, 68, 80, 92)
    epochs: int = 3


SMOKE = Scale(
    samples=120,
    batch_size=16,
    width=2,
    networks=(8,),
    packs=(2,),
    replicates=4,
    trial_samples=120,
    workers=(2,),
    depths=(8,),
    epochs=1,
)


@dataclass(frozen=True)
class Bench:
    """What is measured on what."""

    scale: Scale
    device: str
    data: str
    rounds: int
    seconds: float

    def data_settings(self, samples: int) -> DataSettings:
        """The images; of a file all of them."""
        if self.data:
            return DataSettings(name="arrays", root=self.data)
        # a tenth each for validation and test
        return DataSettings(
            name="synthetic", samples=samples * 5 // 4, val_frac=0.1, test_frac=0.1, noise=2.0
        )

    def training(self, epochs: int = 1) -> TrainingSettings:
        """What all parts share."""
        return TrainingSettings(
            epochs=epochs, batch_size=self.scale.batch_size, augmentation="crop_flip", learning_rate=0.1
        )

    @property
    def best(self) -> Compute:
        """What is fastest on a present GPU."""
        return Compute(
            precision="bf16", channels_last=True, device=self.device, captured=self.device == "cuda"
        )


def measure_throughput(bench: Bench) -> list[dict[str, Any]]:
    """Images a second of each variant of each network."""
    plain = Compute(device=bench.device)
    variants = {
        "float32": plain,
        "bfloat16, channels last": replace(bench.best, captured=False),
        "float32, captured": replace(plain, captured=bench.best.captured),
        "bfloat16, channels last, captured": bench.best,
        **{f"packed {count}": replace(bench.best, pack=count) for count in bench.scale.packs},
    }
    dataset = load_dataset(bench.data_settings(bench.scale.samples))
    rows = []
    for depth in bench.scale.networks:
        architecture = resolve_architecture({"depth": depth, "width": bench.scale.width})
        loops, failed = {}, {}
        for name, compute in variants.items():
            try:
                loops[name] = Loop(compute, architecture, bench.training(), dataset)
                loops[name].make_steps(_WARM_UP_STEPS)
            except (ArchsearchError, RuntimeError) as error:
                failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
                loops.pop(name, None)
        steps = {name: max(1, int(bench.seconds / loop.time_steps(3) * 3)) for name, loop in loops.items()}
        found: dict[str, list[float]] = {name: [] for name in loops}
        most = -(-len(dataset.train) // bench.scale.batch_size) - 1
        for _ in range(bench.rounds):
            for name, loop in loops.items():
                count = max(1, min(steps[name], most))
                images = count * bench.scale.batch_size * variants[name].pack
                found[name].append(images / loop.time_steps(count))
        for name in variants:
            row: dict[str, Any] = {"network": f"ResNet-{depth}", "variant": name}
            if name in failed:
                row["failed"] = failed[name]
            else:
                row |= {"images_per_s": summarize(found[name]), "note": loops[name].train.note}
            rows.append(row)
        loops.clear()
        return_memory(bench.device, thoroughly=True)
    return rows


def measure_trials(bench: Bench) -> list[dict[str, Any]]:
    """Trials an hour of each way to put them on one device."""
    depth = bench.scale.networks[0]
    job = Job(
        trial=0,
        seed=0,
        architecture=resolve_architecture({"depth": depth, "width": bench.scale.width}),
        training=bench.training(epochs=2),
        data=bench.data_settings(bench.scale.trial_samples),
        compute=bench.best,
    )
    count = bench.scale.replicates
    ways = {"one after the other": (1, 1), f"packed {count // 2}": (1, count // 2)}
    ways |= {f"{workers} workers": (workers, 1) for workers in bench.scale.workers}
    ways[f"2 workers, packed {count // 2}"] = (2, count // 2)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(max(1, bench.rounds // 2)):
        for name, (workers, pack) in ways.items():
            found[name].append(count / _run_jobs(job, count, workers, pack) * 3600)
    return [{"way": name, "trials_per_hour": summarize(values)} for name, values in found.items()]


def _run_jobs(job: Job, count: int, workers: int, pack: int) -> float:
    jobs = [replace(job, trial=number, seed=number) for number in range(count)]
    packs = [Pack(tuple(jobs[start : start + pack])) for start in range(0, count, pack)]
    # of the same data, so that each worker holds it, and of the same shapes
    first = replace(job, training=job.training.model_copy(update={"epochs": 1}))
    warming = [Pack((replace(first, trial=count + number),)) for number in range(workers)]
    devices = ("0",) if job.compute.device == "cuda" else ()
    preload = ["archsearch.training.loop"]
    with LocalExecutor(train, workers, visible_devices=devices, preload=preload) as executor:
        _complete(executor, warming)
        start = time.perf_counter()
        _complete(executor, packs)
        return time.perf_counter() - start


def _complete(executor: LocalExecutor, packs: Sequence[Pack]) -> None:
    for pack in packs:
        executor.submit(pack)
    while (event := executor.wait(None)) is not None:
        if isinstance(event, Result) and event.outcome != "complete":
            raise RuntimeError(f"a training failed: {event.reason}")


def measure_sweep(bench: Bench) -> dict[str, Any]:
    """Seconds of a depth sweep from the command line, and what was chosen for it."""
    scale = bench.scale
    settings = bench.data_settings(scale.samples).model_dump(mode="json", exclude_defaults=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sweep.yaml"
        path.write_text(
            f"name: gpu-depth-sweep\n"
            f"data: {json.dumps(settings)}\n"
            f"architecture: {{width: {scale.width}}}\n"
            f"sweep: {{block: [plain, residual], depth: {list(scale.depths)}}}\n"
            f"training: {{epochs: {scale.epochs}, batch_size: {scale.batch_size}, augmentation: crop_flip}}\n"
            f"execution: {{device: {bench.device}}}\n"
            f"tracking: {{enabled: false}}\n",
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "archsearch", "run", str(path), "--runs-dir", folder, "--json"]
        before = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - before
        if done.returncode:
            raise RuntimeError(f"archsearch run failed:\n{done.stderr[-2000:]}")
    outcome = json.loads(done.stdout.splitlines()[-1])
    chosen = [line for line in done.stderr.splitlines() if "Arithmetic: " in line]
    return {
        "networks": 2 * len(scale.depths),
        "seconds": seconds,
        "trials": outcome["trials"],
        "best": outcome["best"],
        "chosen": chosen[0] if chosen else "",
    }


PARTS: dict[str, Callable[[Bench], Any]] = {
    "throughput": measure_throughput,
    "trials": measure_trials,
    "sweep": measure_sweep,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--data", default="", help="an .npz file of 32 x 32 x 3 images")
    parser.add_argument("--parts", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a variant in a round")
    parser.add_argument("--smoke", action="store_true", help="tiny tasks: figures say nothing")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("There is no CUDA device here. --device cpu --smoke shows that it runs.", file=sys.stderr)
        return 2
    scale = SMOKE if options.smoke else Scale()
    bench = Bench(scale, options.device, options.data, options.rounds, options.seconds)
    protocol = {
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "rounds": options.rounds,
        "seconds": options.seconds,
        "scale": vars(scale),
        "data": Path(options.data).name or "synthetic",
    }
    results: dict[str, Any] = {}
    for part in options.parts:
        before = time.perf_counter()
        try:
            results[part] = PARTS[part](bench)
        # What is measured already is worth keeping.
        except Exception as error:  # noqa: BLE001
            results[part] = {"failed": f"{type(error).__name__}: {error}"}
        results[f"{part}_took_s"] = round(time.perf_counter() - before, 1)
        write_result("gpu", protocol, results, options.output)
    return 1 if any("failed" in results[part] for part in options.parts) else 0


if __name__ == "__main__":
    sys.exit(main())
