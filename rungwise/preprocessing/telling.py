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


def telling_columns(present: scipy.sparse.csr_array, positive: np.ndarray, annotated: np.ndarray) -> np.ndarray:
    """Return the columns that tell of some label, first the best of every label, then the second best, and so on.

    Among all pairs of a column and a label, one at most is expected to be found by chance. So the choice says next to
    nothing about the labels of single rows, and estimates of rows that are held out later remain honest.

    Parameters
    ----------
    present : CSR array of shape (n, n_columns), float64
        1 where a column holds something.
    positive : ndarray of shape (n, n_labels), float64
        1 for positive examples, shares for rows that stand for several; any value where not annotated.
    annotated : ndarray of shape (n, n_labels), bool

    Returns
    -------
    ndarray of shape (n_telling,), int64

    Examples
    --------
    >>> present = scipy.sparse.csr_array(np.repeat([[1.0, 0.0], [1.0, 1.0]], [40, 10], axis=0))
    >>> positive = np.repeat([[0.0], [1.0]], [40, 10], axis=0)
    >>> telling_columns(present, positive, np.ones((50, 1), dtype=bool))
    array([1])
    """
    n_columns, n_labels = present.shape[1], positive.shape[1]
    best_rank, best_score = np.full(n_columns, n_columns), np.zeros(n_columns)
    by_column = scipy.sparse.csr_array(present.T)
    for start in range(0, n_labels, _LABELS):
        weight = annotated[:, start : start + _LABELS].astype(float)
        hits = positive[:, start : start + _LABELS] * weight
        rate = hits.sum(axis=0) / np.maximum(weight.sum(axis=0), 1)
        count = by_column @ weight
        share = np.where(count > 0, (by_column @ hits) / np.maximum(count, 1), rate)
        score = count * (rel_entr(share, rate) + rel_entr(1 - share, 1 - rate))
        rank = np.argsort(np.argsort(-score, axis=0, kind="stable"), axis=0)
        best_rank, best_score = np.minimum(best_rank, rank.min(axis=1)), np.maximum(best_score, score.max(axis=1))
    telling = np.flatnonzero(best_score > np.log(2 * n_columns * n_labels))
    return telling[np.lexsort([-best_score[telling], best_rank[telling]])]
