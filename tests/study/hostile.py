"""Studies that are written to take time, memory or more; with what the first line of the answer must say."""

from __future__ import annotations


def _listed(values: object) -> str:
    return f"[{', '.join(map(str, values))}]"  # type: ignore[call-overload]


_DENSE = "architecture: {block: dense, width: 1, compression: 0.01}\n"
_SEARCH = "trials: 9\nsearch: {training.learning_rate: {low: 0.1, high: 1.0}, training.momentum: "

REFUSED = {
    "an enormous depth": ("architecture: {depth: 1000000000}", "from 2 to 10_000"),
    "an enormous width": ("architecture: {width: 1000000000}", "from 1 to 65_536"),
    "enormous stages": ("architecture: {blocks: [9000000000, 1, 1]}", "from 1 to 10_000"),
    "stages that are too large together": (
        "architecture: {blocks: [5000, 5000, 5000]}",
        "depth of at most 10000",
    ),
    "epochs without end": ("training: {epochs: 1000000000000}", "from 1 to 1_000_000"),
    "an enormous batch": ("training: {batch_size: 1000000000000}", "from 1 to 1_000_000"),
    "seeds without end": ("seeds: 1000000000", "from 1 to 1000"),
    "more seeds without end": ("seeds: {min: 2, max: 1000000000}", "from 2 to 1000"),
    "a process for each atom": ("execution: {workers: 1000000000}", "from 1 to 1_024"),
    "a step below any precision": (
        "sweep: {training.learning_rate: {low: 0.1, high: 1.0, step: 1.0e-300}}",
        "must make at most 1_000_000_000 steps",
    ),
    "the smallest step there is": (
        "sweep: {training.weight_decay: {low: 0, high: 1.0e+308, step: 5.0e-324}}",
        "must make at most 1_000_000_000 steps",
    ),
    "a sweep of tiny steps": (
        "sweep: {training.learning_rate: {low: 0.1, high: 1.0, step: 1.0e-8}}",
        "at most 2_000 cells",
    ),
    "a sweep of everything": (
        "sweep: {width: {low: 1, high: 65_536}, stem_width: {low: 1, high: 65_536}, training.epochs: "
        "{low: 1, high: 1_000_000}}",
        "at most 2_000 cells",
    ),
    "a grid of everything": (
        "sampler: grid\ntrials: 9\nsearch: {training.epochs: {low: 1, high: 1_000_000}}",
        "must leave at most 100_000 combinations",
    ),
    "candidates for each atom": (
        "sampler: {name: tpe, n_ei_candidates: 1000000000000}\ntrials: 2\nsearch: {depth: [8, 14]}",
        "from 1 to 10_000",
    ),
    "a power of two": (
        "pruner: {name: successive_halving, min_early_stopping_rate: 1000000000}",
        "from 0 to 100",
    ),
    "deep networks in every cell": (
        f"{_DENSE}sweep: {{training.epochs: {_listed(range(1, 1900))}}}\n".replace(
            "compression: 0.01", "compression: 1, depth: 997"
        ),
        "must be smaller",
    ),
    "what can hardly be built, in every cell": (
        f"sweep: {{training.epochs: {_listed(range(1, 900))}}}\n{_SEARCH}[0.5], training.warmup_epochs: "
        f"{_listed([*range(1, 1900), 0])}}}",
        "must be smaller",
    ),
    "what can never be built, of networks that are long to look at": (
        f"{_DENSE}trials: 2\nsearch: {{blocks: {_listed([f'[1, 4000, {n}]' for n in range(4000, 5000)])}}}",
        "must",
    ),
    "a bomb of aliases": (
        "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10 if n else 'x' * 10)}]" for n in range(12)),
        "must hold at most 5000 values",
    ),
    "an alias of itself": ("a: &a [*a]", "must name an anchor that ended further up"),
    "a merge of mappings": ("a: &a {seed: 1}\n<<: *a", "is unknown here"),
    "lists in lists": ("a: " + "[" * 60_000, "must be nested at most 12 deep"),
    "mappings in mappings": ("{a: " * 15_000, "must be nested at most 12 deep"),
    "dashes": ("- " * 30_000, "must be nested at most 12 deep"),
    "digits": ("seed: " + "9" * 60_000, "must be an integer of at most 64 bits"),
    "digits with underscores": ("seed: " + "9_" * 30_000, "must be an integer of at most 64 bits"),
    "an exponent": ("smallest_difference: 1e" + "9" * 60_000, "must be a number above 0"),
    "no number": ("training: {learning_rate: .nan}", "must be a number above 0"),
    "an infinite number": ("training: {learning_rate: .inf}", "must be a number above 0"),
    "a long key": ("? " + "x" * 60_000 + "\n: 1", "is unknown here"),
    "a long value": ("training: {optimizer: " + "x" * 60_000 + "}", "must be one of"),
    "all settings misspelt": ("training: {" + ",".join(f"epoch{n}: 1" for n in range(4000)) + "}", "unknown"),
    "a thousand plugins": ("plugins: " + _listed(f"p{n}" for n in range(4000)), "an installed package"),
    "a file that is no study": ("#" * 66_000, "must be at most 64 KiB"),
    "code": ("data: !!python/object/apply:os.system ['touch pwned']", "must hold no YAML tags"),
    "code in a name": ("data: !!python/name:os.system x", "must hold no YAML tags"),
    "a name that leaves the folder": ("name: ../../up", "must be at most 100 letters"),
}

ACCEPTED = {
    "as many cells as may be": f"sweep: {{training.epochs: {_listed(range(1, 2000))}}}",
    "the deepest network": "architecture: {depth: 9998}",
    "the largest stages": "architecture: {blocks: [1666, 1666, 1666]}",
    "the largest dense stages": "architecture: {block: dense, blocks: [333, 333, 334]}",
    "as many seeds as may be": f"seeds: {_listed(range(1000))}",
    "the widest range": "trials: 2\nsearch: {training.weight_decay: {low: 1.0e-308, high: 1.7e+308}}",
    "many choices": "trials: 2\nsearch: {blocks: " + _listed(f"[{n}, 1, 1]" for n in range(1, 1000)) + "}",
}


def text_of(body: str) -> str:
    """The study of these lines."""
    return body if body.startswith(("name:", "{", "-", "#")) else f"name: s\n{body}\n"
