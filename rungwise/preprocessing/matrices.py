"""What keeps an array from being read as numbers, in words: which value, where, and what to do about it."""

from typing import Any

import numpy as np
import scipy.sparse


def describe_unreadable(X: Any) -> str | None:
    """Return why X cannot be read as real numbers, finite or missing; None if it is not for one of its values.

    Parameters
    ----------
    X : array, sparse matrix or nested lists

    Examples
    --------
    >>> describe_unreadable([[1.0, 2.0], [3.0, "four"]])
    "X must hold numbers, however: 'four' in column 1; give text columns in a data frame"
    """
    try:
        values: Any = X.tocoo() if scipy.sparse.issparse(X) else np.asarray(X)
    except ValueError:  # rows of different lengths
        return None
    if values.dtype.kind == "c":
        return (
            f"Complex data not supported: X must hold real numbers, however: its dtype is {values.dtype}; give real "
            "and imaginary parts as columns of their own"
        )
    if values.ndim != 2:
        return None
    if scipy.sparse.issparse(values):
        entries, columns = values.data, values.col
    else:
        entries, columns = values.ravel(), np.tile(np.arange(values.shape[1]), len(values))
    for entry, column in zip(entries.tolist(), columns.tolist(), strict=True):
        if isinstance(entry, str) and not _is_number(entry):
            return f"X must hold numbers, however: {entry!r} in column {column}; give text columns in a data frame"
        if isinstance(entry, float) and np.isinf(entry):
            return (
                f"X must hold finite numbers, or NaN where a value is missing, however: {entry} in column {column}; "
                "replace infinity by NaN or by a bound"
            )
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
