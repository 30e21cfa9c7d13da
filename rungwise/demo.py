"""The demo: verdicts about pairs of hand-written digits, learned with and without being told the digits.

`run` is what the command ``rungwise demo`` calls. Error is measured on pairs of images that are in no training pair.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sklearn.utils import Bunch

from rungwise._demo_learners import LEARNERS, OURS
from rungwise.datasets import make_digit_pairs
from rungwise.persistence import save
from rungwise.table_files import check_output, check_table_output, write_table

SIZES = (100, 300, 1000)
N_TEST = 5000
# Small enough for a test of the demo itself; too small to show anything.
QUICK_SIZES = (60, 120)
QUICK_N_TEST = 500

VERDICTS, ALL_LABELS = "verdicts alone", "all labels"

# Errors fewer than this share of the other learner's count as help: on 5,000 pairs an error rate of 5 % has a standard
# error of 6 % of itself, and more since the pairs share 540 images.
HELPS_BELOW = 0.9


@dataclass(frozen=True)
class Measured:
    """What the demo measured.

    Attributes
    ----------
    errors : DataFrame
        Test error: a row for each (n_pairs, learner, labels), a column for each verdict. ``labels`` says what the
        learner was trained on: "verdicts alone" or "all labels".
    model : RungwiseClassifier
        Ours, trained on all labels at the largest size.
    predictions : DataFrame
        The model's labels, {0, 1}, for the test pairs: a row for each pair, a column for each label.
    train, test : Bunch
        The pairs. The smaller training sets are the first rows of ``train``.
    """

    errors: pd.DataFrame
    model: Any
    predictions: pd.DataFrame
    train: Bunch
    test: Bunch


def run(folder: Path, quick: bool = False, force: bool = False) -> None:
    """Train and compare on pairs of digits, print what was found, and save the model and its predictions.

    Parameters
    ----------
    folder : Path
        Where ``model.rungwise`` and ``predictions.csv`` go; created if need be.
    quick : bool
        Use sets so small that it takes seconds and shows nothing, to see that everything works.
    force : bool
        Whether files of these names are replaced.

    Raises
    ------
    OSError
        If one of the files exists and is not to be replaced, or cannot be written.
    """
    start = time.perf_counter()
    folder = Path(folder)
    # Before a minute of work, not after it.
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"the output must be a folder, however: {str(folder)!r} is a file; name another one")
    folder.mkdir(parents=True, exist_ok=True)
    model_path, predictions_path = folder / "model.rungwise", folder / "predictions.csv"
    check_output(model_path, force)
    check_table_output(predictions_path, force)
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        sizes = QUICK_SIZES if quick else SIZES
        task = progress.add_task("", total=2 * len(sizes) * len(LEARNERS))

        def show(description: str, advance: int) -> None:
            progress.update(task, description=description, advance=advance)

        measured = measure(sizes, QUICK_N_TEST if quick else N_TEST, show)
    save(measured.model, model_path, overwrite=force)
    write_table(measured.predictions, predictions_path, force)

    console.print(_ladder_table(measured))
    console.print(_comparison_table(measured.errors))
    console.print(summary(measured.errors), highlight=False)
    console.print(f"\nSaved model.rungwise and predictions.csv in {folder} ({time.perf_counter() - start:.0f} s)")


def measure(sizes: tuple[int, ...], n_test: int, show: Callable[[str, int], None]) -> Measured:
    """Train every learner on every size, on the verdicts alone and on all labels, and measure test error.

    ``show`` is told what is about to happen, and how many fits have ended since it was told last.
    """
    train = make_digit_pairs(max(sizes), subset="train", random_state=0)
    test = make_digit_pairs(n_test, subset="test", random_state=1)
    X = pd.DataFrame(train.X, columns=train.feature_names)
    Y = pd.DataFrame(train.Y, columns=train.label_names)
    X_test = pd.DataFrame(test.X, columns=test.feature_names)
    verdicts = [name for name, level in zip(train.label_names, train.level, strict=True) if level > 1]
    Y_test = pd.DataFrame(test.Y, columns=test.label_names)

    errors = {}
    model, predictions, ended = None, Y_test, 0
    for n_pairs in sizes:
        for labels, names in {VERDICTS: verdicts, ALL_LABELS: train.label_names}.items():
            for learner, make in LEARNERS.items():
                show(f"{n_pairs:,} pairs, {learner}, {labels}", ended)
                ended = 1
                fitted = make()
                # scikit-learn's learners take plain arrays of labels: not all of them know tables there.
                targets = Y[names] if learner == OURS else Y[names].to_numpy()
                fitted.fit(X[:n_pairs], targets[:n_pairs])
                predicted = pd.DataFrame(fitted.predict(X_test), columns=names).astype(np.int8)
                errors[n_pairs, learner, labels] = (predicted[verdicts] != Y_test[verdicts]).mean()
                if learner == OURS and labels == ALL_LABELS:
                    model, predictions = fitted, predicted
    table = pd.DataFrame(errors).T
    table.index.names = ["n_pairs", "learner", "labels"]
    return Measured(table, model, predictions, train, test)


def summary(errors: pd.DataFrame) -> str:
    """Say in plain words where knowing the digits helped and where it did not.

    Ours with all labels is compared with the best of the three peers trained on the verdicts alone: the best on average
    at each size, then the best for each verdict by itself.
    """
    lines = []
    for n_pairs in errors.index.unique("n_pairs"):
        ours = errors.loc[(n_pairs, OURS, ALL_LABELS)]
        peers = _peers(errors, n_pairs)
        best = peers.mean(axis=1).idxmin()
        ratio = ours.mean() / peers.loc[best].mean()
        lines.append(
            f"{n_pairs:,} pairs: {ours.mean():.1%} of verdicts are wrong with granular labels, "
            f"{peers.loc[best].mean():.1%} with the best peer without ({best}): {ratio:.2f} times as many."
        )
        ratios = ours / peers.min()
        idle = [f'"{name}" ({ratios[name]:.2f})' for name in ratios.index[~(ratios < HELPS_BELOW)]]
        if idle:
            lines.append(f"  No help, against the best peer for each verdict, with {', '.join(idle)}.")
        else:
            least = ratios.idxmax()
            lines.append(f'  They help with every verdict, least with "{least}" ({ratios[least]:.2f}).')
    return "\n".join(lines)


def _peers(errors: pd.DataFrame, n_pairs: int) -> pd.DataFrame:
    """Return the errors of the peers trained on the verdicts alone: a row for each peer, a column for each verdict."""
    return errors.xs((n_pairs, VERDICTS), level=("n_pairs", "labels")).drop(index=OURS)


def _comparison_table(errors: pd.DataFrame) -> Table:
    """Return mean error over the verdicts: a row for each learner and what it learned, a column for each size."""
    sizes = errors.index.unique("n_pairs")
    table = Table(title="Error on verdicts, unseen handwriting, by number of training pairs", title_justify="left")
    table.add_column("learner")
    table.add_column("trained on")
    for n_pairs in sizes:
        table.add_column(f"{n_pairs:,}", justify="right")
    means = errors.mean(axis=1)
    for labels in (ALL_LABELS, VERDICTS):
        for learner in LEARNERS:
            table.add_row(learner, labels, *(f"{means[n_pairs, learner, labels]:.1%}" for n_pairs in sizes))
        table.add_section()
    return table


def _ladder_table(measured: Measured) -> Table:
    """Return what our model found for each label, and its test error beside the best peer's at the same size."""
    n_pairs = measured.errors.index.unique("n_pairs")[-1]
    best_peer = _peers(measured.errors, n_pairs).min()
    wrong = (measured.predictions.to_numpy() != measured.test.Y).mean(axis=0)
    table = Table(title=f"The ladder that was found from {n_pairs:,} pairs", title_justify="left")
    table.add_column("label")
    table.add_column("level", justify="right")
    table.add_column("parents")
    table.add_column("test error", justify="right")
    table.add_column("best peer*", justify="right")
    found = measured.model.hierarchy_.to_frame().set_index("label")
    for name, error in zip(measured.test.label_names, wrong, strict=True):
        row = found.loc[name]
        peer = f"{best_peer[name]:.1%}" if name in best_peer else ""
        table.add_row(
            name, str(row["level"]), _abridged(row["parents"], measured.test.label_names), f"{error:.1%}", peer
        )
    table.caption = "* the best peer for that verdict, trained on the verdicts alone"
    return table


def _abridged(parents: list[str], label_names: list[str]) -> str:
    """Return the parents in words: the first few labels by name, pixels as a count."""
    labels = [parent for parent in parents if parent in label_names]
    n_pixels = len(parents) - len(labels)
    words = labels[:4] + ([f"{len(labels) - 4} more labels"] if len(labels) > 4 else [])
    return ", ".join(words + ([f"{n_pixels} pixels"] if n_pixels else []))
