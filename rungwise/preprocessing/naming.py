"""What the network's inputs are called in formulas: statements about the user's columns, in the user's units."""

from collections.abc import Sequence

import numpy as np

from rungwise.preprocessing.scaling import Standardizer


class InputNames:
    """Names of literals "input > threshold".

    Parameters
    ----------
    names : sequence of str
        Of the columns before standardising.
    standardizer : Standardizer
        Fitted.
    columns : ndarray of shape (n, n_columns)
        The training rows before standardising: columns of 0 and 1, or -1 and 1, are called by their name alone. They
        are looked at and not kept.

    Examples
    --------
    >>> columns = np.array([[0.0, 10.0], [1.0, 30.0], [1.0, 20.0]])
    >>> names = InputNames(["ill", "age"], Standardizer().fit(columns), columns)
    >>> names.literal(0, 0.0), names.literal(1, 0.0)
    ('ill', 'age > 20')
    """

    def __init__(self, names: Sequence[str], standardizer: Standardizer, columns: np.ndarray) -> None:
        self._names, self._standardizer = names, standardizer
        self._has_two_values = [_has_two_values(column) for column in columns.T]

    def literal(self, index: int, threshold: float, position: str = "") -> str:
        """Return the statement that input ``index``, at a position seen, exceeds the threshold (standardised)."""
        source = int(self._standardizer.source[index])
        name = self._names[source] + position
        if index >= len(self._names):
            return f"{name} is missing"
        if self._has_two_values[source]:
            return name
        original = threshold * self._standardizer.scale_[source] + self._standardizer.mean_[source]
        return f"{name} > {original:.4g}"


def _has_two_values(column: np.ndarray) -> bool:
    """Return whether the column holds nothing but 0 and 1, or -1 and 1, beside missing values."""
    high = np.isnan(column) | (column == 1)
    return bool((high | (column == 0)).all() or (high | (column == -1)).all())
