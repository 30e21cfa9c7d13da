"""Bootstrap samples: those that did not draw an example may speak honestly about it (Breiman, 2001)."""

import numpy as np


def bootstrap(unit: np.ndarray, weights: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Return how often each row is drawn, (n,): units with replacement, and all rows of a unit together.

    Only units of some weight are drawn: where few rows are annotated, a sample of all would often hold none of them.

    Parameters
    ----------
    unit : ndarray of shape (n,), integers from 0
    weights : ndarray of shape (n,)
    random : RandomState
    """
    weighted = np.flatnonzero(np.bincount(unit, weights))
    sample = weighted[random.randint(len(weighted), size=len(weighted))]
    return np.bincount(sample, minlength=int(unit.max()) + 1)[unit]
