"""Circuits too deep to be learned without a teacher's hints: python -m benchmarks.circuits.

A random circuit of 8 layers of d = 24 neurons, each a function of three of the layer below, over 24 bits; 20,000 rows.
The outputs are learned alone, by several learners, and with d² = 576 majorities of three neurons of each layer as
further labels. A fit with 4,632 labels takes more than an hour: every block is reported when it is there. --awareness
and --noise make the teacher less reliable. "--neurons 16 --rows 14000" is a smaller one.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier

from rungwise import RungwiseClassifier
from rungwise.features import LearnedFeatures
from rungwise.teacher import CircuitTeacher

N_TEST = 5000
# Of so many bits fresh rows are new ones.
N_INPUTS = 24


def learned(width: int, n_layers: int, **parameters: Any) -> RungwiseClassifier:
    # The logic of a circuit has no noise: nothing to regularise. Of three folds fewer networks than of five. Blocks are
    # as deep as the circuit: what a teacher who knows half of the neurons never mentions has to be found inside of one.
    features = LearnedFeatures(width, dropout=0.0, n_layers=n_layers)
    return RungwiseClassifier(features, n_folds=3, random_state=0, **parameters)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=24, help="of a layer")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--rows", type=int, default=20_000, help="to learn from")
    parser.add_argument("--width", type=int, default=512, help="hidden units of the learned features")
    parser.add_argument("--seed", type=int, default=0, help="of the circuit, the hints and the rows")
    parser.add_argument("--awareness", type=float, default=1.0, help="share of the neurons that the teacher knows")
    parser.add_argument("--noise", type=float, default=0.0, help="share of hints that are flipped")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"), help="folder of circuits.json")
    options = parser.parse_args(arguments)
    d, n_layers, n, width = options.neurons, options.layers, options.rows, options.width
    console = Console() if Console().is_terminal else Console(width=120)

    teacher = CircuitTeacher.random(N_INPUTS, n_layers, d, random_state=options.seed)
    X = np.random.default_rng(options.seed).choice(np.float32([-1, 1]), size=(n + N_TEST, N_INPUTS))
    outputs = teacher.outputs(X)
    alone = {
        "rungwise": RungwiseClassifier(random_state=0),
        "rungwise, learned features": learned(width, n_layers),
        "random forest": RandomForestClassifier(300, n_jobs=-1, random_state=0),
        "MLP": MLPClassifier((1024,), early_stopping=True, max_iter=500, random_state=0),
    }
    errors = {}
    for name, model in alone.items():
        with console.status(f"{name}, without hints"):
            predicted = model.fit(X[:n], (outputs[:n] > 0).astype(int)).predict(X[n:])
        errors[f"{name}, without hints"] = float((predicted != (outputs[n:] > 0)).mean())
        console.print(f"{name}, without hints: {errors[f'{name}, without hints']:.4f} of the outputs are wrong")

    hints = teacher.hints(X[:n], d * d, 3, options.awareness, options.noise, random_state=options.seed + 1)
    began = time.perf_counter()

    def by_layer(error: np.ndarray) -> list[float]:
        means = [error[: len(hints.layer)][hints.layer == layer].mean() for layer in range(1, n_layers + 1)]
        return [float(mean) for mean in [*means, error[-d:].mean()]]

    def written(error: np.ndarray) -> str:
        *layers, last = (f"{mean:.4f}" for mean in by_layer(error))
        return f"hints, layer by layer, {' '.join(layers)}, outputs {last}"

    def report(block: Any) -> None:
        seconds = time.perf_counter() - began
        console.print(
            f"block {block.block}: {seconds:.0f} s, wrong on honest rows: {written(block.error_after.numpy())}"
        )

    model = learned(width, n_layers, callbacks=[report])
    with console.status(f"{d * d} hints of each layer"):
        predicted = model.fit(X[:n], np.hstack([hints.Y, outputs[:n]])).predict(X[n:])
    wrong = (predicted != np.hstack([hints.on(X[n:]), outputs[n:]])).mean(axis=0)
    errors[f"with {d * d} hints"] = float(wrong[-d:].mean())
    console.print(f"with {d * d} hints of each layer, wrong on fresh rows: {written(wrong)}")

    options.output.mkdir(parents=True, exist_ok=True)
    result = {
        **{name: value for name, value in vars(options).items() if name != "output"},
        "error": errors,
        "hints": by_layer(wrong)[:-1],
        "seconds": time.perf_counter() - began,
    }
    (options.output / "circuits.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
