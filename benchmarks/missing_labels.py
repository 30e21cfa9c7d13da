"""What missing labels cost, by ways of learning from the rest: python -m benchmarks.missing_labels.

Of the training labels a share is taken away at random, the same number from each label; all test labels stay. Ways:

    as they are         RungwiseClassifier on all rows, NaN where a label is missing
    complete rows       on the rows that have all their labels, if there are any
    majority            missing labels replaced by the more frequent value of the label
    drawn               missing labels replaced by draws from the label's frequency
    one for each label  a RungwiseClassifier for each label alone, on the rows that have it

Sets: files in the folder RUNGWISE_DATA, else in shared/data beside the checkout. Training rows are those of the
published split with its validation rows.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rungwise import RungwiseClassifier
from rungwise.datasets import fetch_multilabel, make_hierarchy
from rungwise.model_selection import MaskedScorer

SETS = ("emotions", "yeast", "ctg", "medical")
SHARES, QUICK_SHARES = (0.0, 0.3, 0.7), (0.0, 0.5)
MEASURES = ("average_precision_micro", "average_precision_macro")
BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "data"


class OneForEachLabel:
    """A RungwiseClassifier for each label alone, fitted on the rows that have it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, X: Any, Y: np.ndarray) -> "OneForEachLabel":
        known = ~np.isnan(Y)
        self.learners = [
            RungwiseClassifier(random_state=self.seed).fit(X[rows], Y[rows, j : j + 1])
            for j, rows in enumerate(known.T)
        ]
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        return np.hstack([learner.decision_function(X) for learner in self.learners])


def as_they_are(X: Any, Y: np.ndarray, seed: int) -> RungwiseClassifier:
    return RungwiseClassifier(random_state=seed).fit(X, Y)


def complete_rows(X: Any, Y: np.ndarray, seed: int) -> RungwiseClassifier | None:
    rows = ~np.isnan(Y).any(axis=1)
    return as_they_are(X[rows], Y[rows], seed) if rows.sum() >= 2 else None


def majority(X: Any, Y: np.ndarray, seed: int) -> RungwiseClassifier:
    return as_they_are(X, np.where(np.isnan(Y), np.nanmean(Y, axis=0) > 0.5, Y), seed)


def drawn(X: Any, Y: np.ndarray, seed: int) -> RungwiseClassifier:
    return as_they_are(X, draw_missing(Y, seed), seed)


def draw_missing(Y: np.ndarray, seed: int) -> np.ndarray:
    """Return Y with missing labels drawn from the frequency of the label."""
    # Another stream than that of `take_away`: where its numbers are large labels are missing, and all draws would be 0.
    draws = np.random.default_rng([seed, 1]).random(Y.shape) < np.nanmean(Y, axis=0)
    return np.where(np.isnan(Y), draws, Y)


def one_for_each_label(X: Any, Y: np.ndarray, seed: int) -> OneForEachLabel:
    return OneForEachLabel(seed).fit(X, Y)


WAYS: dict[str, Callable[[Any, np.ndarray, int], Any]] = {
    "as they are": as_they_are,
    "complete rows": complete_rows,
    "majority": majority,
    "drawn": drawn,
    "one for each label": one_for_each_label,
}
# Without missing labels the other ways are the first.
WAYS_IF_COMPLETE = ("as they are", "one for each label")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small generated set, one seed")
    parser.add_argument("--sets", nargs="+", default=SETS, metavar="SET", help=f"by default {' '.join(SETS)}")
    parser.add_argument("--seeds", type=int, default=3, help="how often labels are taken away anew")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"), help="folder of missing_labels.json")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = Console() if Console().is_terminal else Console(width=120)
    results: list[dict] = []
    for name in ["generated"] if options.quick else options.sets:
        try:
            data = made_set() if options.quick else read_set(name)
        except FileNotFoundError as error:
            console.print(f"{name} is left out: {error}", highlight=False, markup=False)
            continue
        for share in QUICK_SHARES if options.quick else SHARES:
            for way in WAYS if share else WAYS_IF_COMPLETE:
                for seed in range(1 if options.quick else options.seeds):
                    with console.status(f"{name}, {share:.0%} missing, {way}, seed {seed}"):
                        results.append(
                            {"set": name, "missing": share, "way": way, "seed": seed, **run(data, share, way, seed)}
                        )
                content = {"quick": options.quick, "results": results}
                (options.output / "missing_labels.json").write_text(json.dumps(content, indent=1) + "\n")
    console.print(results_table(results))


def read_set(name: str) -> tuple:
    """Return X and Y of the training and of the test rows."""
    folder = Path(os.environ.get("RUNGWISE_DATA") or BESIDE_THE_CHECKOUT)
    if not (folder / f"{name}.npz").is_file():
        raise FileNotFoundError(f"{name}.npz must be in the folder RUNGWISE_DATA, however: it is not in {folder}")
    os.environ["RUNGWISE_DATA"] = str(folder)
    found = fetch_multilabel(name)
    train = np.concatenate([found.train_idx, found.valid_idx])
    return found.X[train], found.Y[train], found.X[found.test_idx], found.Y[found.test_idx]


def made_set() -> tuple:
    X, Y, _ = make_hierarchy(200, n_inputs=6, n_levels=2, n_labels_per_level=3, random_state=0)
    return X[:100], Y[:100], X[100:], Y[100:]


def run(data: tuple, share: float, way: str, seed: int) -> dict:
    """Return test scores, None if there was nothing to learn from, and seconds of the fit."""
    X, Y, X_test, Y_test = data
    masked = take_away(Y, share, np.random.default_rng(seed))
    began = time.perf_counter()
    fitted = WAYS[way](X, masked, seed)
    result = {"seconds": time.perf_counter() - began, "rows complete": int((~np.isnan(masked)).all(axis=1).sum())}
    for name in MEASURES:
        result[name] = None if fitted is None else MaskedScorer(name)(fitted, X_test, Y_test)
    return result


def take_away(Y: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Return Y with NaN in this share of the rows of each label, others for each; two rows of each label stay."""
    rank = generator.random(Y.shape).argsort(axis=0).argsort(axis=0)
    return np.where(rank < max(2, round((1 - share) * len(Y))), Y, np.nan)


def results_table(results: list[dict]) -> Table:
    """Return a row for each set, share and way: mean and standard deviation over the seeds."""
    table = Table(title="Learning from labels annotated in part", title_justify="left")
    columns = ("set", "missing", "way", "micro AP", "macro AP", "s", "remark")
    for column in columns:
        table.add_column(column, justify="right" if column in ("missing", "micro AP", "macro AP", "s") else "left")
    for key in dict.fromkeys((r["set"], r["missing"], r["way"]) for r in results):
        own = [r for r in results if (r["set"], r["missing"], r["way"]) == key]
        learned = [r for r in own if r[MEASURES[0]] is not None]
        remark = (
            "" if len(learned) == len(own) else f"no complete rows in {len(own) - len(learned)} of {len(own)} draws"
        )
        if key[2] == "complete rows" and learned:
            remark = f"{np.mean([r['rows complete'] for r in own]):.0f} rows {remark}"
        table.add_row(
            key[0],
            f"{key[1]:.0%}",
            key[2],
            *(_mean_and_deviation([r[measure] for r in learned]) for measure in MEASURES),
            f"{np.mean([r['seconds'] for r in own]):.1f}",
            remark,
        )
    return table


def _mean_and_deviation(values: list[float]) -> str:
    if not values:
        return "–"
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


if __name__ == "__main__":
    main()
