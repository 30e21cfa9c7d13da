"""What the labels are worth on the rows of one fold, held out from every fit that is judged on them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rungwise.valuation.annotation import LEAST_ROWS, SHARES
from rungwise.valuation.credit import shared_credit
from rungwise.valuation.held_out import HeldOut, ancestors


@dataclass(frozen=True)
class FoldValue:
    """Errors, and what labels take off them, by row.

    Attributes
    ----------
    by_itself, with_ancestors, with_all : ndarray of shape (n_rows,)
        1 where the target is predicted wrong.
    found : ndarray of bool, shape (n_labels,)
        Which labels are ancestors of the target.
    level : ndarray of int, shape (n_labels,)
    value, alone, added : ndarray of shape (n_labels, n_rows)
        Share of the whole; on top of nothing; on top of ancestors.
    order_variance : ndarray of shape (n_labels,)
        Variance of the mean value by the draw of orders.
    doublings : ndarray of shape (2, n_labels, n_rows)
        What a label takes off when it is annotated on half of its rows rather than a quarter, and on all rather than
        half; NaN if it is no ancestor or annotated on too few.
    """

    by_itself: np.ndarray
    with_ancestors: np.ndarray
    with_all: np.ndarray
    found: np.ndarray
    level: np.ndarray
    value: np.ndarray
    alone: np.ndarray
    added: np.ndarray
    order_variance: np.ndarray
    doublings: np.ndarray


def value_in_fold(
    fold: HeldOut,
    n_orders: int,
    rng: np.random.Generator,
    matters: Callable[[np.ndarray], bool],
) -> FoldValue:
    """Return what every label is worth in a fold.

    Parameters
    ----------
    fold : HeldOut
    n_orders : int
        Orders in which ancestors are taken away, see `rungwise.valuation.credit`.
    rng : numpy.random.Generator
        Draws them.
    matters : callable
        Says of differences of errors of the fold's rows, (n_rows,), whether they are more than chance.
    """
    names = list(fold.problem.Y.columns)
    n_labels, n_rows = len(names), len(fold.test)
    hierarchy = fold.climb()
    below = ancestors(hierarchy, names)
    ladder = below[fold.problem.target]
    level = np.zeros(n_labels, dtype=int)
    level[list(below)] = hierarchy.level

    by_itself, with_ancestors = fold.wrong(()), fold.wrong(ladder)
    with_all = fold.wrong(fold.available)
    alone, added, value = (np.zeros((n_labels, n_rows)) for _ in range(3))
    for label in fold.available:
        alone[label] = by_itself - fold.wrong({label})
    for label in ladder:
        added[label] = fold.wrong(ladder - {label}) - with_ancestors

    others = fold.available - ladder
    if others and matters(with_ancestors - with_all):
        for label in others:
            company = (ladder | below[label]) - {fold.problem.target}
            added[label] = fold.wrong(company - {label}) - fold.wrong(company | {label})
    elif others:  # what they take off together is chance: one of them is not worth a fit
        added[list(others)] = (with_ancestors - with_all) / len(others)
    value[list(others)] = added[list(others)]

    players = sorted(ladder)
    orders = [rng.permutation(players).tolist() for _ in range(n_orders)]
    credit = shared_credit(fold.wrong, players, orders, matters)
    value[players] = credit.mean(axis=0)
    order_variance = np.zeros(n_labels)
    order_variance[players] = credit.mean(axis=2).var(axis=0, ddof=1 if n_orders > 1 else 0) / n_orders

    doublings = np.full((2, n_labels, n_rows), np.nan)
    for label in players:
        if np.count_nonzero(fold.problem.weights[fold.train, label]) >= LEAST_ROWS:
            quarter, half = (fold.wrong(ladder, label, share) for share in SHARES)
            doublings[:, label] = quarter - half, half - with_ancestors
    found = np.isin(np.arange(n_labels), players)
    return FoldValue(by_itself, with_ancestors, with_all, found, level, value, alone, added, order_variance, doublings)
