"""Whether the labels that a target stands on come out on top: python -m benchmarks.label_value.

Ten planted hierarchies (`make_hierarchy`) of 20 to 60 inputs, 3 to 5 levels of 5 to 8 labels and 1,000 to 3,000 rows.
The target is the first label of the highest level. Two labels are added that have nothing to do with it: "coin", which
nothing tells, and "aside", a majority of three inputs that are added for it alone. `label_value` ranks all labels;
average precision is that of the target's true ancestors in the planted circuit. (An equal circuit of other labels is
not counted as right, though it is: the measure is a lower bound.) For the two added labels, "z" is the larger of
their |alone| / standard error.
"""

import argparse
import json
import time
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score

from rungwise import RungwiseClassifier, label_value
from rungwise.datasets import make_hierarchy

FLOOR = 0.9
# Rows, inputs, levels and labels per level; a seed for each.
SHAPES = (
    (1000, 20, 3, 5),
    (1000, 25, 3, 6),
    (1500, 30, 3, 8),
    (1500, 20, 4, 5),
    (2000, 30, 4, 6),
    (2000, 40, 4, 7),
    (2000, 50, 4, 6),
    (2500, 40, 5, 5),
    (3000, 50, 5, 6),
    (3000, 60, 5, 8),
)
ADDED = ("coin", "aside")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small hierarchy")
    parser.add_argument("--splits", type=int, default=2, help="folds")
    parser.add_argument("--orders", type=int, default=2, help="orders in each fold that ancestors are taken away in")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"), help="folder of label_value.json")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = Console() if Console().is_terminal else Console(width=120)
    shapes = ((400, 10, 2, 3),) if options.quick else SHAPES
    results = []
    for seed, shape in enumerate(shapes):
        with console.status(f"hierarchy {seed + 1} of {len(shapes)}"):
            results.append(run(shape, seed, options.splits, options.orders))
        content = {"quick": options.quick, "splits": options.splits, "orders": options.orders, "results": results}
        (options.output / "label_value.json").write_text(json.dumps(content, indent=1) + "\n")
    console.print(results_table(results))
    mean = float(np.mean([result["average precision"] for result in results]))
    state = "met" if mean >= FLOOR else "MISSED"
    console.print(f"mean average precision {mean:.3f} (at least {FLOOR}): {state}", highlight=False)


def run(shape: tuple[int, int, int, int], seed: int, n_splits: int, n_orders: int) -> dict:
    """Return how the true ancestors are ranked in one hierarchy, and what the added labels are worth."""
    X, Y, target, true_ancestors = planted(shape, seed)
    clf = RungwiseClassifier(features="sparse", random_state=seed)
    began = time.perf_counter()
    found = label_value(clf, X, Y, target=target, n_splits=n_splits, n_orders=n_orders)
    seconds = time.perf_counter() - began
    frame = found.frame
    is_true = frame["label"].isin(true_ancestors)
    added = frame[frame["label"].isin(ADDED)]
    z = (added["alone"].abs() / added["alone_se"].replace(0, np.inf)).max()
    return {
        "shape": shape,
        "seed": seed,
        "ancestors": int(is_true.sum()),
        "candidates": len(frame),
        "average precision": float(average_precision_score(is_true, -frame.index)),
        "by alone": float(average_precision_score(is_true, frame["alone"])),
        "by with_ancestors": float(average_precision_score(is_true, frame["with_ancestors"])),
        "error by itself": found.error_by_itself,
        "error with all": found.error_with_all,
        "z of added": float(z),
        "seconds": seconds,
        "frame": json.loads(frame.to_json(orient="records")),
    }


def planted(shape: tuple[int, int, int, int], seed: int) -> tuple[np.ndarray, pd.DataFrame, str, set[str]]:
    """Return X, Y with the added labels, the target and its true ancestors."""
    n, n_inputs, n_levels, n_labels_per_level = shape
    X, Y, model = make_hierarchy(
        n, n_inputs=n_inputs, n_levels=n_levels, n_labels_per_level=n_labels_per_level, random_state=seed
    )
    rng = np.random.default_rng(seed)
    extra = rng.choice([-1.0, 1.0], size=(n, 3))
    labels = pd.DataFrame(Y, columns=model.label_names)
    labels["coin"], labels["aside"] = rng.integers(0, 2, n), (extra.sum(axis=1) > 0).astype(int)
    target = model.label_names[int(model.level.argmax())]
    ancestors = nx.ancestors(model.to_networkx(), target) & set(model.label_names)
    return np.hstack([X, extra]), labels, target, ancestors


def results_table(results: list[dict]) -> Table:
    """Return a row for each hierarchy."""
    table = Table(title="Ranking the ancestors of a label of the highest level", title_justify="left")
    columns = ("rows, inputs, levels, labels", "ancestors", "AP", "AP, alone", "AP, with ancestors", "error", "z", "s")
    for column in columns:
        table.add_column(column, justify="right")
    for result in results:
        table.add_row(
            " × ".join(map(str, result["shape"])),
            f"{result['ancestors']} of {result['candidates']}",
            *(f"{result[name]:.3f}" for name in ("average precision", "by alone", "by with_ancestors")),
            f"{result['error by itself']:.3f} → {result['error with all']:.3f}",
            f"{result['z of added']:.1f}",
            f"{result['seconds']:.0f}",
        )
    return table


if __name__ == "__main__":
    main()
