"""Folds that each get their share of every label's positives and negatives, for labels annotated only in part.

After Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data" (ECML PKDD 2011): rows are dealt
out one after another, those with the rarest labels first, each to the fold that lacks them most. Here a row counts
towards 2 n_labels + 1 totals t: of the positives of each label, of its annotated negatives, and of all rows. With
c_r what row r adds and h_f what fold f has, the row goes to the fold with the smallest

    sum_t h_f,t c_r,t / total_t²,

which of all folds makes the sum over folds and totals of (share of the total)² grow least. The paper looks at the
rarest label of the row alone. Looking at all of them balances complete labels as well, labels annotated in part
better (there the negatives do not follow from the positives), and serves for groups, rows that stay together.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state, column_or_1d, indexable

from rungwise._validation import check_whole
from rungwise.preprocessing.targets import read_label_matrix


class MultilabelStratifiedKFold(BaseCrossValidator):
    """K folds, each with its share of the positives and annotated negatives of every label.

    Parameters
    ----------
    n_splits : int, at least 2
    shuffle : bool
        Deal out rows, or groups, in a random order as far as their labels are equally rare.
    random_state : None, int or RandomState
        Of the shuffling; only used with ``shuffle=True``.

    Notes
    -----
    A label whose annotations are all in one fold has none left to learn from when that fold is held out, and
    `RungwiseClassifier` refuses it: annotations in at least ``n_splits`` rows are safe, fewer may not be.

    References
    ----------
    Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", ECML PKDD 2011.

    Examples
    --------
    >>> import numpy as np
    >>> Y = np.array([[1, 0], [1, np.nan], [0, 1], [0, 1], [np.nan, 0], [0, np.nan]])
    >>> for train, test in MultilabelStratifiedKFold(n_splits=2).split(Y, Y):
    ...     print(test, "positives:", (Y[test] == 1).sum(axis=0))
    [0 2 5] positives: [1 1]
    [1 3 4] positives: [1 1]
    """

    # With scikit-learn's metadata routing, ``groups`` is passed on without being asked for, as to its own splitters.
    __metadata_request__split = {"groups": True}  # noqa: RUF012

    def __init__(self, n_splits: int = 5, *, shuffle: bool = False, random_state: Any = None) -> None:
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return check_whole("n_splits", self.n_splits, 2)

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the row numbers of the training and of the held-out rows, once for each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Only its length is looked at.
        y : array, sparse matrix or data frame of shape (n_samples, n_labels)
            {0, 1}, {-1, 1} or booleans, NaN where a label is not annotated.
        groups : array of shape (n_samples,), optional
            Rows of one group (subject, site) share a fold.

        Raises
        ------
        ValueError
            If a parameter or y is not as described, or there are fewer rows, or groups, than folds.
        """
        n_splits = self.get_n_splits()
        if y is None:
            raise ValueError("MultilabelStratifiedKFold needs the labels, however: y=None")
        X, y, groups = indexable(X, y, groups)
        counts, unit_of_row = _count(read_label_matrix(y), groups)
        if len(counts) < n_splits:
            what = "rows" if groups is None else "groups"
            raise ValueError(f"there must be at least n_splits={n_splits} {what}, however: {len(counts)}")
        order = np.arange(len(counts))
        if self.shuffle:
            check_random_state(self.random_state).shuffle(order)
        folds = _deal_out(counts, order, n_splits)[unit_of_row]
        for fold in range(n_splits):
            yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def _count(labels: np.ndarray, groups: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return what each row or group adds to the totals, (n_units, 2 n_labels + 1), and the unit of each row, (n,)."""
    of_rows = np.hstack([labels == 1, labels == 0, np.ones((len(labels), 1), dtype=bool)])
    if groups is None:
        return of_rows.astype(np.float64), np.arange(len(labels))
    names, unit_of_row = np.unique(column_or_1d(groups), return_inverse=True)
    counts = np.zeros((len(names), of_rows.shape[1]))
    np.add.at(counts, unit_of_row, of_rows)
    return counts, unit_of_row


def _deal_out(counts: np.ndarray, order: np.ndarray, n_folds: int) -> np.ndarray:
    """Return the fold of each unit, (n_units,); of units as rare as each other the earlier in ``order`` comes first."""
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    rarity = (shares**2).sum(axis=1)
    # Up to a factor of two units are as rare as each other: were the order strict, shuffling would change nothing
    # where all units differ.
    order = order[np.argsort(-np.floor(np.log2(rarity[order])), kind="stable")]
    folds = np.empty(len(counts), dtype=int)
    held = np.zeros((n_folds, counts.shape[1]))
    # A loop over rows: where a row goes depends on where those before it went.
    for unit in order:
        folds[unit] = fold = (held @ shares[unit]).argmin()
        held[fold] += shares[unit]
    return folds
