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
        The training rows before standardising: columns of 0 and 1, or -1 and 1, are called by their name alone.

    Examples
    --------
    >>> columns = np.array([[0.0, 10.0], [1.0, 30.0], [1.0, 20.0]])
    >>> names = InputNames(["ill", "age"], Standardizer().fit(columns), columns)
    >>> names.literal(0, 0.0), names.literal(1, 0.0)
    ('ill', 'age > 20')
    """

    def __init__(self, names: Sequence[str], standardizer: Standardizer, columns: np.ndarray) -> None:
        self._names, self._standardizer, self._columns = names, standardizer, columns

    def literal(self, index: int, threshold: float, position: str = "") -> str:
        """Return the statement that input ``index``, at a position seen, exceeds the threshold (standardised)."""
        source = int(self._standardizer.source[index])
        name = self._names[source] + position
        if index >= len(self._names):
            return f"{name} is missing"
        column = self._columns[:, source]
        values = set(np.unique(column[~np.isnan(column)]).tolist())
        if values <= {0.0, 1.0} or values <= {-1.0, 1.0}:
            return name
        original = threshold * self._standardizer.scale_[source] + self._standardizer.mean_[source]
        return f"{name} > {original:.4g}"
