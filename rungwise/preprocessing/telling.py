"""Which columns of a wide sparse table tell of a label beyond chance, though they may hold something in few rows only.

A column that holds something in m of the rows, a share q of them positive where p of all rows are, would come about by
chance with a probability of at most 2 exp(-m KL(q || p)) (Chernoff's bound, which also holds for drawing without
replacement: Hoeffding, 1963).
"""

import numpy as np
import scipy.sparse
from scipy.special import rel_entr

# Labels looked at together; a matrix of columns times labels would not fit in memory for many of both.
_LABELS = 16


def telling_columns(present: scipy.sparse.csr_array, positive: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the columns that tell of some label, first the best of every label, then the second best, and so on.

    Among all pairs of a column and a label, one at most is expected to be found by chance. So the choice says next to
    nothing about the labels of single rows, and estimates of rows that are held out later remain honest.

    Parameters
    ----------
    present : CSR array of shape (n, n_columns), float64
        1 where a column holds something.
    positive : ndarray of shape (n, n_labels), bool
    weight : ndarray of shape (n, n_labels), float64
        The share of an independent example that a row is: 0 where the label is not annotated, 1 for a row that is an
        example of its own, one half for each of two copies.

    Returns
    -------
    ndarray of shape (n_telling,), int64

    Examples
    --------
    >>> present = scipy.sparse.csr_array(np.repeat([[1.0, 0.0], [1.0, 1.0]], [40, 10], axis=0))
    >>> positive = np.repeat([[False], [True]], [40, 10], axis=0)
    >>> telling_columns(present, positive, np.ones((50, 1)))
    array([1])
    """
    n_columns, n_labels = present.shape[1], positive.shape[1]
    best_rank, best_score = np.full(n_columns, n_columns), np.zeros(n_columns)
    by_column = scipy.sparse.csr_array(present.T)
    for start in range(0, n_labels, _LABELS):
        some = weight[:, start : start + _LABELS]
        hits = positive[:, start : start + _LABELS] * some
        rate = np.minimum(hits.sum(axis=0) / some.sum(axis=0), 1)
        count = by_column @ some
        # Where a column holds nothing, it says nothing: the share is the rate.
        share = np.divide(by_column @ hits, count, out=np.tile(rate, (n_columns, 1)), where=count > 0)
        share = np.minimum(share, 1)  # of rounding errors
        score = count * (rel_entr(share, rate) + rel_entr(1 - share, 1 - rate))
        rank = np.argsort(np.argsort(-score, axis=0, kind="stable"), axis=0)
        best_rank, best_score = np.minimum(best_rank, rank.min(axis=1)), np.maximum(best_score, score.max(axis=1))
    telling = np.flatnonzero(best_score > np.log(2 * n_columns * n_labels))
    return telling[np.lexsort([-best_score[telling], best_rank[telling]])]
