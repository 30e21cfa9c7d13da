"""How many more rows of a label are worth annotating: the end of its learning curve, drawn on with care.

If the error falls as a + b n^-c with the number n of rows that have the label, every doubling of n takes off 2^-c times
what the doubling before took off. Two measured doublings give that ratio. It is kept between 1/2 and 1, that is, c
between 0 and 1: errors that are averages over rows fall no faster than 1/n, and a ratio of two small noisy gains may
be anything.
"""

import numpy as np

SHARES = (0.25, 0.5)
"""Shares of the annotated rows that the curve is measured at, beside all of them: two doublings."""

LEAST_ROWS = 8
"""With fewer annotated rows a quarter of them is one row."""

LEAST_GAIN = 0.005
"""A doubling that is expected to take less than half a percentage point off the target's error is not worth it."""

MOST_DOUBLINGS = 2
"""Nothing is foretold beyond as many doublings as were measured."""


def next_doubling(earlier: float, last: float) -> tuple[float, float]:
    """Return what doubling the annotated rows is expected to take off the error, and the ratio to the doubling before.

    Parameters
    ----------
    earlier, last : float
        What the last doubling but one took off, from a quarter of the rows to half, and what the last took off.

    Examples
    --------
    >>> next_doubling(0.08, 0.06)
    (0.045, 0.75)
    """
    ratio = float(np.clip(last / earlier, 0.5, 1.0)) if earlier > 0 else 1.0
    return last * ratio, ratio


def rows_worth_annotating(n_annotated: int, gain: float, ratio: float, standard_error: float) -> int:
    """Return how many more rows are worth annotating, a multiple of those that are: 0, or 1 or 3 times as many.

    Parameters
    ----------
    n_annotated : int
    gain, ratio : float
        As `next_doubling` returns them.
    standard_error : float
        Of the gain. Doublings count while they gain more than this, and at least `LEAST_GAIN`.

    Examples
    --------
    >>> rows_worth_annotating(100, gain=0.02, ratio=0.5, standard_error=0.006)
    300
    >>> rows_worth_annotating(100, gain=0.02, ratio=0.5, standard_error=0.015)
    100
    """
    n_doublings = 0
    while n_doublings < MOST_DOUBLINGS and gain > standard_error and gain >= LEAST_GAIN:
        n_doublings += 1
        gain *= ratio
    return n_annotated * (2**n_doublings - 1)
