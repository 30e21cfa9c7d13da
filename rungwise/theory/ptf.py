"""Polynomial threshold functions: labels that are the sign of a low-degree polynomial.

Paper, definition of a (K, M, B)-PTF: f has a polynomial p with degree <= K, ||p||_co <= M, p(x) f(x) >= 1 (margin 1)
and |p(x)| <= B for every x in the domain.
"""

from dataclasses import dataclass

import numpy as np

from rungwise.theory.polynomial import Polynomial


@dataclass(frozen=True, eq=False)
class PolynomialThreshold:
    """The function x -> sign(p(x)), with sign(0) = +1.

    Parameters
    ----------
    polynomial : Polynomial
        p, in the variables that the function reads; over {-1, +1}^d or [-1, 1]^d alike.

    Examples
    --------
    >>> vote = PolynomialThreshold(Polynomial(np.eye(3, dtype=int), [1, 1, 1]))
    >>> cube = np.array([[1, 1, 1], [1, 1, -1], [1, -1, -1]])
    >>> vote(cube).tolist(), vote.margin(cube), vote.bound(cube)
    ([1, 1, -1], 1.0, 3.0)
    """

    polynomial: Polynomial

    @property
    def n_variables(self) -> int:
        """Number of variables that the function reads."""
        return self.polynomial.n_variables

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the labels of X, of shape (n_samples, n_variables), as int8 ±1 of shape (n_samples,)."""
        return np.where(self.polynomial(X) >= 0, 1, -1).astype(np.int8)

    def margin(self, X: np.ndarray, y: np.ndarray | None = None) -> float:
        """Return min_i y_i p(x_i) over the rows of X.

        Parameters
        ----------
        X : array of shape (n_samples, n_variables), at least one row
            Points.
        y : array of shape (n_samples,), of ±1, or None
            Labels; None takes the function's own, which gives min_i |p(x_i)|. With others, the margin is negative
            where a label is missed.

        Returns
        -------
        margin : float

        Raises
        ------
        ValueError
            If X has no row, or y has another length.
        """
        values = self._values(X)
        if y is None:
            return float(np.abs(values).min())
        y = np.asarray(y)
        if y.shape != values.shape:
            raise ValueError(f"y must be of shape {values.shape}, one label per row of X, however: y.shape={y.shape}")
        return float((y * values).min())

    def bound(self, X: np.ndarray) -> float:
        """Return max_i |p(x_i)| over the rows of X, of shape (n_samples, n_variables), at least one row."""
        return float(np.abs(self._values(X)).max())

    def with_unit_margin(self, X: np.ndarray) -> "PolynomialThreshold":
        """Return the same function with p scaled so that its margin on the rows of X is 1.

        Raises
        ------
        ValueError
            If p is 0 at a row of X: then no multiple of p has a margin there.
        """
        margin = self.margin(X)
        if margin == 0:
            row = int(np.abs(self._values(X)).argmin())
            raise ValueError(
                f"the polynomial has no margin: it is 0 at row {row} of X, X[{row}]={np.asarray(X)[row].tolist()}; "
                "leave such rows out or shift the polynomial by a constant"
            )
        return PolynomialThreshold(self.polynomial * (1 / margin))

    def _values(self, X: np.ndarray) -> np.ndarray:
        values = self.polynomial(X)
        if len(values) == 0:
            raise ValueError(f"X must have at least one row, however: X.shape={np.shape(X)}")
        return values
