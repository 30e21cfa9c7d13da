"""`label_value`: which labels are worth collecting, judged on rows held out, in folds.

All choices (who is an ancestor, what is chance) are made within a fold and never see how another fold came out.
"""

import numbers
from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from sklearn.base import clone
from sklearn.utils import check_array, check_consistent_length, check_random_state

from rungwise._validation import check_whole
from rungwise.estimator import RungwiseClassifier
from rungwise.fitting.folds import find_units
from rungwise.preprocessing.tables import TableEncoder, is_frame
from rungwise.preprocessing.targets import read_targets, read_weights
from rungwise.preprocessing.wide import canonical
from rungwise.valuation.annotation import next_doubling, rows_worth_annotating
from rungwise.valuation.fold import FoldValue, value_in_fold
from rungwise.valuation.held_out import HeldOut, Problem
from rungwise.valuation.result import COLUMNS, LabelValue

# A gain of less than two standard errors may be chance.
_STANDARD_ERRORS = 2.0


def label_value(
    clf: RungwiseClassifier,
    X: Any,
    Y: Any,
    *,
    target: str | int,
    sample_weight: Any = None,
    groups: Any = None,
    n_splits: int = 3,
    n_orders: int = 4,
) -> LabelValue:
    """Return how much each label lowers the error of a target label, and how many more rows of it are worth annotating.

    The value of a label is what the error of the target falls by when the label is there *in training*, for the target
    to stand on. (To be told its true value at prediction time may be worth more, or less; that is another question.)

    Parameters
    ----------
    clf : RungwiseClassifier
        Fitted or not: only its parameters count. There are several fits for each label and fold, so a quick setting
        pays, such as ``features="sparse"`` where labels are gates, or ``effort="low"``.
    X : array, sparse matrix or data frame of shape (n_samples, n_features)
    Y : array or data frame of shape (n_samples, n_labels)
        As for ``clf.fit``: {0, 1}, {-1, 1} or booleans, NaN where a label is not annotated.
    target : str or int
        Name of a label, or its column.
    sample_weight : array of shape (n_samples,) or (n_samples, n_labels), optional
    groups : array of shape (n_samples,), optional
        Rows of one group (subject, site) are held out together. Copies of a row always are.
    n_splits : int, at least 2
        Folds. The target is judged on all rows that have it, on each by fits to the other folds.
    n_orders : int, at least 1
        Orders that the shares of ancestors are averaged over, in each fold.

    Returns
    -------
    LabelValue
        Its ``frame`` has a row for each label.

    Raises
    ------
    ValueError
        If a parameter or the data are not as described, or the target has one class only.
    KeyError
        If there is no such target.
    TypeError
        If clf is no RungwiseClassifier.

    Examples
    --------
    >>> from rungwise import RungwiseClassifier, datasets, label_value
    >>> X, Y, truth = datasets.make_staircase(600, n_inputs=8, degree=3, random_state=0)
    >>> found = label_value(RungwiseClassifier(features="sparse", random_state=0), X, Y, target=1, n_splits=2)
    >>> found.frame["label"].tolist()
    ['label_0', 'label_2']
    """
    if not isinstance(clf, RungwiseClassifier):
        raise TypeError(f"clf must be a RungwiseClassifier, however: {clf!r}")
    if clf.neighborhood is not None:
        raise ValueError(f"label_value takes no families of examples, however: neighborhood={clf.neighborhood!r}")
    n_splits, n_orders = check_whole("n_splits", n_splits, 2), check_whole("n_orders", n_orders, 1)
    problem, seed = _read(clf, X, Y, target, sample_weight, groups)
    unit, weights = problem.unit, problem.weights[:, problem.target]
    fold_of_row = _deal(problem, n_splits)

    values, rows = [], []
    with _Bar(n_splits) if clf.verbose else nullcontext() as bar:
        for number in range(n_splits):
            train = np.flatnonzero(fold_of_row != number)
            test = np.flatnonzero((fold_of_row == number) & (weights > 0))

            def matters(gain: np.ndarray, test: np.ndarray = test) -> bool:
                mean, error = mean_and_error(gain, weights[test], unit[test])
                return bool(mean > _STANDARD_ERRORS * error)

            fold = HeldOut(problem, train, test, (lambda: None) if bar is None else bar.count)
            values.append(value_in_fold(fold, n_orders, np.random.default_rng([seed, number]), matters))
            rows.append(test)
            if bar is not None:
                bar.end_fold()
    order = np.concatenate(rows)
    return _summarise(problem, values, weights[order], unit[order])


def mean_and_error(values: np.ndarray, weights: np.ndarray, unit: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean of the rows' values, (n,), and its standard error.

    Units are what is independent: rows of one ``unit`` count as one.
    """
    share = weights / weights.sum()
    mean = share @ values
    apart = np.bincount(unit, share * (values - mean))
    return float(mean), float(np.sqrt((apart**2).sum()))


def _read(
    clf: RungwiseClassifier, X: Any, Y: Any, target: str | int, sample_weight: Any, groups: Any
) -> tuple[Problem, int]:
    """Return the problem, and the seed of everything that is drawn."""
    if not is_frame(X):
        X = X.tocsr() if scipy.sparse.issparse(X) else np.asarray(X)
    if not is_frame(Y) and np.ndim(Y) != 2 and not scipy.sparse.issparse(Y):
        raise ValueError(f"Y must have shape (n_samples, n_labels), however: {np.shape(Y)}")
    targets, coding = read_targets(Y)
    if coding.kind != "multilabel":
        raise ValueError("Y must be a matrix of labels, however: it is one column of several classes")
    check_consistent_length(X, targets, sample_weight, groups)
    names = list(coding.names)
    column = _find(target, names)
    weights = read_weights(sample_weight, ~np.isnan(targets))
    classes = np.unique(targets[weights[:, column] > 0, column])
    if len(classes) < 2:
        raise ValueError(
            f"the target {names[column]!r} must have both classes among the rows that are annotated and have a weight, "
            f"however: {len(classes)} of them"
        )
    if len(names) < 2:
        raise ValueError(f"Y must have a label beside the target {names[column]!r}, however: it has no other")
    seed = int(check_random_state(clf.random_state).randint(2**31))
    worker = clone(clf).set_params(random_state=seed, verbose=0, callbacks=None)
    groups = None if groups is None else np.asarray(groups)
    unit = find_units(_as_numbers(X), seed, groups)
    return Problem(worker, X, pd.DataFrame(targets, columns=names), weights, groups, column, unit), seed


def _as_numbers(X: Any) -> Any:
    """Return X as a matrix whose rows are equal where rows of X are."""
    matrix = TableEncoder().fit(X).transform(X) if is_frame(X) else X
    matrix = check_array(matrix, accept_sparse="csr", dtype=np.float64, ensure_all_finite="allow-nan")
    return canonical(matrix) if scipy.sparse.issparse(matrix) else matrix


def _find(target: str | int, names: list[str]) -> int:
    if isinstance(target, numbers.Integral) and 0 <= target < len(names):
        return int(target)
    if target not in names:
        raise KeyError(f"no label is called {target!r}; the labels are {', '.join(names)}")
    return names.index(str(target))


def _deal(problem: Problem, n_splits: int) -> np.ndarray:
    """Return the fold of each row, (n,): the same for rows of a unit, and with a like share of the target's classes."""
    sums = np.bincount(problem.unit, np.nan_to_num(problem.Y.iloc[:, problem.target]))
    annotated = np.bincount(problem.unit, problem.weights[:, problem.target]) > 0
    if np.count_nonzero(annotated) < n_splits:
        what = "groups" if problem.groups is not None else "distinct rows"
        raise ValueError(
            f"the target must be annotated in at least n_splits={n_splits} {what}, however: in "
            f"{np.count_nonzero(annotated)}"
        )
    # Units are numbered by a hash, so within a class they are dealt out at random, whatever the order of the rows.
    order = np.lexsort([np.sign(sums), annotated])
    fold = np.empty(len(order), dtype=int)
    fold[order] = np.arange(len(order)) % n_splits
    return fold[problem.unit]


def _summarise(problem: Problem, folds: list[FoldValue], weights: np.ndarray, unit: np.ndarray) -> LabelValue:
    """Average over all judged rows, given fold by fold with their weights and units, (n_judged,)."""
    by_itself, with_ancestors, with_all = (
        mean_and_error(np.concatenate([getattr(fold, name) for fold in folds]), weights, unit)[0]
        for name in ("by_itself", "with_ancestors", "with_all")
    )
    value, alone, added, doublings = (
        np.concatenate([getattr(fold, name) for fold in folds], axis=-1)
        for name in ("value", "alone", "added", "doublings")
    )
    ends = np.cumsum([len(fold.by_itself) for fold in folds])
    share = np.array([part.sum() for part in np.split(weights, ends[:-1])]) / weights.sum()
    order_variance = (share**2) @ np.array([fold.order_variance for fold in folds])
    level = np.sort([fold.level for fold in folds], axis=0)[(len(folds) - 1) // 2]
    found = np.mean([fold.found for fold in folds], axis=0)

    records = []
    for label, name in enumerate(problem.Y.columns):
        if label == problem.target:
            continue
        mean, error = mean_and_error(value[label], weights, unit)
        n_annotated = int(np.count_nonzero(problem.weights[:, label]))
        gain, gain_error, worth = _more_rows(doublings[:, label], weights, unit, n_annotated)
        records.append(
            (
                name,
                level[label],
                found[label],
                mean,
                np.sqrt(error**2 + order_variance[label]),
                *mean_and_error(alone[label], weights, unit),
                *mean_and_error(added[label], weights, unit),
                n_annotated,
                gain,
                gain_error,
                worth,
            )
        )
    frame = pd.DataFrame(records, columns=list(COLUMNS))
    # Of labels of one value, up to rounding errors, those that the target stands on come first: they may replace each
    # other, others do not.
    by = ["value", "found", "alone"]
    frame = frame.sort_values(
        by, ascending=False, kind="stable", ignore_index=True, key=lambda column: column.round(12)
    )
    return LabelValue(problem.Y.columns[problem.target], by_itself, with_ancestors, with_all, frame)


def _more_rows(
    doublings: np.ndarray, weights: np.ndarray, unit: np.ndarray, n_annotated: int
) -> tuple[float, float, int]:
    """Return the gain that the next doubling promises, its standard error, and how many more rows are worth it."""
    measured = ~np.isnan(doublings[0])
    if not measured.any():
        return np.nan, np.nan, 0
    (earlier, _), (last, error) = (
        mean_and_error(doubling[measured], weights[measured], unit[measured]) for doubling in doublings
    )
    gain, ratio = next_doubling(earlier, last)
    return gain, ratio * error, rows_worth_annotating(n_annotated, gain, ratio, ratio * error)


class _Bar:
    """Shows on standard error which fold is under way, and how many fits there have been."""

    def __init__(self, n_folds: int) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("first fit", total=n_folds)
        self._n_fits = 0

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def count(self) -> None:
        """Tell of one more fit."""
        self._n_fits += 1
        self._progress.update(self._task, description=f"label value: fit {self._n_fits}")

    def end_fold(self) -> None:
        """Move the bar on."""
        self._progress.advance(self._task)
