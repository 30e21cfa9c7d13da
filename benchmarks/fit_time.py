"""How long fits take on tables of many shapes, beside a random forest of 300 trees: python -m benchmarks.fit_time.

Labels are thresholds of sums of smooth functions of up to ten columns, with little noise or much; the second half of
them leans on the first. Learners are fitted one after another, on all cores that the process may use. Average
precision on fresh rows says what the time bought.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score

from benchmarks._real_peers import as_matrix
from rungwise import RungwiseClassifier

SHAPES = (
    (300, 20, 2),
    (1700, 8, 2),
    (1700, 21, 4),
    (1700, 21, 13),
    (1200, 294, 6),
    (5000, 10, 3),
    (5000, 60, 20),
    (9500, 12, 4),
    (30000, 10, 3),
)
"""Rows, columns and labels."""
QUICK_SHAPES = ((300, 20, 2), (600, 8, 3))
NOISES = (0.3, 2.0)
N_TEST = 3000
FOREST = "random forest"
LEARNERS: dict[str, Any] = {
    FOREST: lambda: RandomForestClassifier(300, n_jobs=-1, random_state=0),
    "default": lambda: RungwiseClassifier(random_state=0),
    "low effort": lambda: RungwiseClassifier(effort="low", random_state=0),
}


def make(n_rows: int, n_columns: int, n_labels: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs, (n_rows, n_columns), and labels of {0, 1}, (n_rows, n_labels), of 3 to 50 % of the rows each.

    ``noise`` is the standard deviation of what is added to a label's score; without it, that of a score is about 2.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_columns))
    n_used, n_hidden = min(n_columns, 10), 8
    hidden = np.tanh(X[:, :n_used] @ rng.standard_normal((n_used, n_hidden)))
    scores = hidden @ rng.standard_normal((n_hidden, n_labels)) + noise * rng.standard_normal((n_rows, n_labels))
    half = n_labels // 2
    scores[:, n_labels - half :] += 1.5 * np.sign(scores[:, :half])
    return X, (scores > np.quantile(scores, rng.uniform(0.5, 0.97, n_labels), axis=0).diagonal()).astype(int)


def measure(shape: tuple[int, int, int], noise: float) -> dict:
    """Return the seconds that each learner takes to fit a table, and its micro average precision on fresh rows."""
    n_rows, n_columns, n_labels = shape
    X, Y = make(n_rows + N_TEST, n_columns, n_labels, noise)
    result: dict[str, Any] = {"rows": n_rows, "columns": n_columns, "labels": n_labels, "noise": noise}
    for name, learner in LEARNERS.items():
        model = learner()
        began = time.perf_counter()
        model.fit(X[:n_rows], Y[:n_rows])
        seconds = time.perf_counter() - began
        probability = as_matrix(model.predict_proba(X[n_rows:]))
        score = float(average_precision_score(Y[n_rows:], probability, average="micro"))
        result[name] = {"fit s": seconds, "micro AP": score}
    return result


def table_of(results: list[dict]) -> Table:
    """Return one row for each table: the forest's seconds, and ours as multiples of them."""
    columns = ["rows", "columns", "labels", "noise", "forest, s", *(name for name in LEARNERS if name != FOREST)]
    table = Table(*columns, *(f"AP, {name}" for name in LEARNERS), title="fit time: multiples of the random forest's")
    for result in results:
        times = [result[name]["fit s"] for name in LEARNERS]
        cells = [f"{result[name]:,}" for name in ("rows", "columns", "labels", "noise")]
        cells += [f"{times[0]:.2f}", *(f"{own / times[0]:.2f}" for own in times[1:])]
        table.add_row(*cells, *(f"{result[name]['micro AP']:.3f}" for name in LEARNERS))
    return table


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small shapes")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"), help="folder of fit_time.json")
    options = parser.parse_args(arguments)
    console = Console() if Console().is_terminal else Console(width=120)
    # What is set up once, by whoever fits first, is not a fit's.
    measure((100, 5, 2), 1.0)
    results = []
    for shape in QUICK_SHAPES if options.quick else SHAPES:
        for noise in NOISES:
            with console.status(f"{shape[0]:,} rows, {shape[1]} columns, {shape[2]} labels, noise {noise}"):
                results.append(measure(shape, noise))
    console.print(table_of(results))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "fit_time.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
