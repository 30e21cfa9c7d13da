"""Thousands of labels: time and memory of a fit, beside a random forest: python -m benchmarks.many_labels.

As in sets of gene functions, labels form a tree: every label but the first ones has a part of its parent's positives.
The first ones are thresholds of noisy directions among the inputs. Every fit has a process of its own. scikit-learn's
forest of 300 trees costs more with every label; beyond some hundred it is left out.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks._memory import peak_memory

N_TRAIN, N_TEST, N_INPUTS, N_ROOTS = 1600, 800, 80, 20
SIZES, QUICK_SIZES, MOST_FOR_FOREST = (500, 1000, 2000, 4000), (100, 200), 500
OURS, FOREST = "rungwise", "random forest"


def make(n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs, (n, 80), and labels of {0, 1}, (n, n_labels), of which each child implies its parent."""
    rng = np.random.default_rng(0)
    n = N_TRAIN + N_TEST
    X = rng.standard_normal((n, N_INPUTS))
    scores = X @ rng.standard_normal((N_INPUTS, N_ROOTS)) / N_INPUTS**0.5 + rng.standard_normal((n, N_ROOTS))
    Y = np.empty((n, n_labels), dtype=np.uint8)
    Y[:, :N_ROOTS] = scores > np.quantile(scores, rng.uniform(0.6, 0.98, N_ROOTS), axis=0).diagonal()
    for label in range(N_ROOTS, n_labels):
        Y[:, label] = Y[:, rng.integers(label)] * (rng.random(n) < rng.uniform(0.3, 0.9))
    return X.astype(np.float32), Y


def measure(learner: str, n_labels: int) -> dict:
    """Fit and predict once, in this process."""
    X, Y = make(n_labels)
    if learner == OURS:
        from rungwise import RungwiseClassifier

        model = RungwiseClassifier(random_state=0)
    else:
        from sklearn.ensemble import RandomForestClassifier

        model = RandomForestClassifier(300, n_jobs=-1, random_state=0)
    began = time.perf_counter()
    model.fit(X[:N_TRAIN], Y[:N_TRAIN])
    fitted = time.perf_counter()
    model.predict_proba(X[N_TRAIN:])
    seconds = {"fit s": fitted - began, "predict s": time.perf_counter() - fitted}
    return {"learner": learner, "labels": n_labels, **seconds, "peak bytes": peak_memory()}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 and 200 labels")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"), help="folder of many_labels.json")
    parser.add_argument("--one", nargs=2, metavar=("LEARNER", "LABELS"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]))))
        return
    console = Console() if Console().is_terminal else Console(width=120)
    table = Table("learner", "labels", "fit s", "predict s", "peak GiB", title=f"{N_TRAIN:,} rows, {N_INPUTS} inputs")
    runs = []
    for n_labels in QUICK_SIZES if options.quick else SIZES:
        for learner in (OURS, FOREST) if n_labels <= MOST_FOR_FOREST else (OURS,):
            with console.status(f"{learner}, {n_labels:,} labels"):
                command = [sys.executable, "-m", "benchmarks.many_labels", "--one", learner, str(n_labels)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            run = json.loads(done.stdout.splitlines()[-1])
            runs.append(run)
            gib = f"{run['peak bytes'] / 2**30:.1f}"
            table.add_row(learner, f"{n_labels:,}", f"{run['fit s']:.1f}", f"{run['predict s']:.2f}", gib)
    console.print(table)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "many_labels.json").write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
