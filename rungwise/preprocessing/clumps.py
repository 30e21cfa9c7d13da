"""Recognise training rows that come in small clumps, such as several measurements of one subject.

Unless such rows share a fold, what is called held out has been seen, all but a little noise, and honest losses are too
good. Around a row of a smooth density of local dimension D, the distances d_1 < d_2 < ... to its neighbours have
independent log-gaps: j · D · log(d_(j+1) / d_j) is exponential of mean 1 (Levina and Bickel, NIPS 2004, take D from
that). A clump of j + 1 rows shows as a gap after neighbour j that no smooth density has. It matters so far as the rows
of a clump agree on their labels more than with those beyond the gap.
"""

from warnings import warn

import numpy as np
from sklearn.neighbors import NearestNeighbors

from rungwise.fitting.folds import hash_rows

# With fewer rows, the few clusters of any data have the size of a clump.
_LEAST_ROWS = 200
_SAMPLE = 300
_NEIGHBOURS = 50
# Clumps of up to 21 rows are recognised; the gaps between further neighbours tell the dimension.
_CLUMP = 20
# exp(-10), times 20 places for a gap: 1 row of 1,000 by chance.
_GAP = 10.0
# A column where one value is commoner does not count: rows that share their categories look like clumps.
_COMMONEST = 0.05

SUSPICIOUS = 0.2
"""Of generated rows without subjects `clumped_share` was at most 0.15, mostly below 0.05; of real tables, below 0.1."""


def warn_of_clumps(x: np.ndarray, targets: np.ndarray, n_positions: int) -> None:
    """Warn the caller of the caller if the share is suspicious, of examples that are ``n_positions`` rows each."""
    n_examples = len(x) // n_positions
    if clumped_share(x.reshape(n_examples, -1), targets.reshape(n_examples, -1)) > SUSPICIOUS:
        warn(
            "many training rows have a few others much nearer than all the rest, and with the same labels, as if each "
            "subject had been measured several times: if so, honest losses and errors are too good, since folds tear "
            "subjects apart, and so are choices made by them; give fit the subject of each row as groups=",
            stacklevel=3,
        )


def clumped_share(x: np.ndarray, targets: np.ndarray) -> float:
    """Return the share of rows in clumps, times the share of what they disagree on beyond the clump but not within.

    Parameters
    ----------
    x : ndarray of shape (n, n_inputs)
        Standardised. Copies of a row count once: they share a fold anyway.
    targets : ndarray of shape (n, n_labels)
        ±1, and 0 where not annotated.

    Returns
    -------
    float
        From 0 to 1; 0 also if it cannot be told, for want of rows or of columns of many values.

    Notes
    -----
    Neighbours are looked for among all rows, of a sample of 300: for 100,000 rows of 100 columns 3 billion products.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> subject = np.repeat(np.arange(100), 5)
    >>> x, targets = rng.normal(size=(100, 8))[subject], rng.choice([-1, 1], size=(100, 3))[subject]
    >>> clumped_share(x + 0.1 * rng.normal(size=x.shape), targets) > 0.9
    True
    >>> clumped_share(rng.normal(size=x.shape), targets) < 0.1
    True
    """
    # Rows by their hash: the sample does not depend on their order.
    _, distinct = np.unique(hash_rows(x, seed=0), return_index=True)
    if len(distinct) < _LEAST_ROWS:
        return 0.0
    columns = _has_many_values(x[distinct[:1000]])
    if not columns.any():
        return 0.0
    x, targets = x[np.ix_(distinct, columns)], np.sign(targets[distinct]).astype(np.int8)
    search = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1, algorithm="brute").fit(x)
    distance, neighbour = (found[:, 1:] for found in search.kneighbors(x[:_SAMPLE]))
    place = np.arange(1, _NEIGHBOURS)
    # Below a millionth distances are rounding.
    gap = place * np.diff(np.log(np.maximum(distance, 1e-6 * distance[:, -1:] + 1e-300)), axis=1)
    beyond = np.maximum(gap[:, _CLUMP:].mean(axis=1), 1e-300)
    clumped = gap[:, :_CLUMP].max(axis=1) > _GAP * beyond
    if not clumped.any():
        return 0.0
    size = gap[clumped, :_CLUMP].argmax(axis=1) + 1
    # A label of one or two clumps alone is no hint: where classes are clumps, new rows fall into them as well.
    common = np.minimum((targets > 0).sum(axis=0), (targets < 0).sum(axis=0)) > 2 * (np.median(size) + 1)
    targets = targets[:, common]
    products = targets[:_SAMPLE][clumped, None] * targets[neighbour[clumped]]
    wrong, both = (products < 0).sum(axis=2), (products != 0).sum(axis=2)
    within = np.arange(_NEIGHBOURS) < size[:, None]
    of_clump, of_others = (wrong[part].sum() / max(both[part].sum(), 1) for part in (within, ~within))
    return float(clumped.mean() * (1 - of_clump / of_others)) if of_clump < of_others else 0.0


def _has_many_values(x: np.ndarray) -> np.ndarray:
    """Return which columns have no value in more than `_COMMONEST` of the rows, bool (n_inputs,)."""
    ascending = np.sort(x, axis=0)
    step = int(_COMMONEST * len(x))
    return (ascending[step:] != ascending[:-step]).all(axis=0)
