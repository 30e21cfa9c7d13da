"""Real polynomials in several variables, as lists of monomials.

p(x) = Σ_i c_i Π_j x_j^{e_ij}. Paper, polynomial threshold functions: the norm of p is ||p||_co = (Σ_i c_i²)^{1/2}.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement

import numpy as np


def monomial_exponents(n_variables: int, degree: int, multilinear: bool = False) -> np.ndarray:
    """Return the exponents of all monomials of degree at most ``degree``, constant first.

    Parameters
    ----------
    n_variables : int, at least 0
        Number of variables.
    degree : int, at least 0
        Largest total degree.
    multilinear : bool
        Leave out the monomials in which a variable has a power above 1 (on ±1 values they are redundant: x² = 1).

    Returns
    -------
    exponents : int array of shape (n_terms, n_variables)
        n_terms = C(n_variables + degree, degree), or Σ_{k <= degree} C(n_variables, k) if multilinear.

    Raises
    ------
    ValueError
        If ``n_variables`` or ``degree`` is negative.

    Examples
    --------
    >>> monomial_exponents(2, 2, multilinear=True).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    if n_variables < 0:
        raise ValueError(f"n_variables must be at least 0, however: n_variables={n_variables}")
    if degree < 0:
        raise ValueError(f"degree must be at least 0, however: degree={degree}")
    choose = combinations if multilinear else combinations_with_replacement
    chosen = [variables for k in range(degree + 1) for variables in choose(range(n_variables), k)]
    exponents = np.zeros((len(chosen), n_variables), dtype=np.int64)
    for row, variables in zip(exponents, chosen, strict=True):
        np.add.at(row, list(variables), 1)
    return exponents


def monomials(X: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """Evaluate monomials: entry (i, t) of the result is Π_j X_ij^{exponents_tj}.

    Parameters
    ----------
    X : array of shape (n_samples, n_variables)
        Points.
    exponents : int array of shape (n_terms, n_variables)
        One monomial per row.

    Returns
    -------
    values : float array of shape (n_samples, n_terms)
        The monomials' values, with 0^0 = 1.

    Raises
    ------
    ValueError
        If X is not two-dimensional or its number of columns differs from that of ``exponents``.
    """
    X = np.asarray(X, dtype=np.float64)
    n_terms, n_variables = exponents.shape
    if X.ndim != 2 or X.shape[1] != n_variables:
        raise ValueError(
            f"X must be of shape (n_samples, {n_variables}), one column per variable, however: X.shape={X.shape}"
        )
    values = np.ones((len(X), n_terms))
    for variable in range(n_variables):
        # Most monomials lack most variables: only the terms that hold this one are touched.
        terms = np.flatnonzero(exponents[:, variable])
        values[:, terms] *= X[:, variable, None] ** exponents[terms, variable]
    return values


@dataclass(frozen=True, eq=False)
class Polynomial:
    """A real polynomial Σ_i c_i Π_j x_j^{e_ij}.

    Parameters
    ----------
    exponents : int array of shape (n_terms, n_variables)
        Non-negative powers, one row per monomial; no row twice, so that the norm is well defined.
    coefficients : float array of shape (n_terms,)
        Finite coefficients.

    Raises
    ------
    ValueError
        If shapes disagree, an exponent is negative or not whole, a monomial is repeated or a coefficient is not finite.

    Examples
    --------
    >>> p = Polynomial([[1, 0], [0, 1], [1, 1]], [0.5, 1.0, -0.5])
    >>> print(p)
    0.5 x0 + x1 - 0.5 x0 x1
    >>> p([[1, -1], [1, 1]]).tolist()
    [0.0, 1.0]
    >>> p.degree, p.is_multilinear, round(p.norm, 4)
    (2, True, 1.2247)
    """

    exponents: np.ndarray
    coefficients: np.ndarray

    def __post_init__(self) -> None:
        given = np.asarray(self.exponents)
        coefficients = np.array(self.coefficients, dtype=np.float64)
        if given.ndim != 2:
            raise ValueError(
                f"exponents must be of shape (n_terms, n_variables), however: exponents.shape={given.shape}"
            )
        exponents = given.astype(np.int64)
        if not np.array_equal(exponents, given) or (exponents < 0).any():
            raise ValueError(f"exponents must be whole numbers of at least 0, however: exponents={given.tolist()}")
        if coefficients.shape != (len(exponents),):
            raise ValueError(
                f"coefficients must be of shape ({len(exponents)},), one per row of exponents, "
                f"however: coefficients.shape={coefficients.shape}"
            )
        if not np.isfinite(coefficients).all():
            raise ValueError(f"coefficients must be finite, however: coefficients={coefficients.tolist()}")
        _, counts = np.unique(exponents, axis=0, return_counts=True)
        if (counts > 1).any():
            raise ValueError(
                f"each monomial must occur once (add its coefficients up), however: exponents={exponents.tolist()}"
            )
        for field, array in (("exponents", exponents), ("coefficients", coefficients)):
            array.flags.writeable = False
            object.__setattr__(self, field, array)

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return self.exponents.shape[1]

    @property
    def degree(self) -> int:
        """Largest total degree of a monomial with a non-zero coefficient; 0 for the zero polynomial."""
        return int(self.exponents[self.coefficients != 0].sum(axis=1).max(initial=0))

    @property
    def norm(self) -> float:
        """||p||_co, the Euclidean norm of the coefficients."""
        return float(np.linalg.norm(self.coefficients))

    @property
    def is_multilinear(self) -> bool:
        """Whether no monomial with a non-zero coefficient has a power above 1."""
        return bool((self.exponents[self.coefficients != 0] <= 1).all())

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Evaluate at each row of X, of shape (n_samples, n_variables); returns floats of shape (n_samples,)."""
        return monomials(X, self.exponents) @ self.coefficients

    def __mul__(self, factor: float) -> "Polynomial":
        """Multiply by a number."""
        return Polynomial(self.exponents, self.coefficients * factor)

    __rmul__ = __mul__

    def __str__(self) -> str:
        return self.formula()

    def formula(self, names: Sequence[str] | None = None) -> str:
        """Write the polynomial out, with the variables called ``names`` (x0, x1, … if None).

        Examples
        --------
        >>> Polynomial([[0, 0], [2, 1]], [-1, 3]).formula(["left", "right"])
        '-1 + 3 left^2 right'
        """
        names = [f"x{j}" for j in range(self.n_variables)] if names is None else list(names)
        if len(names) != self.n_variables:
            raise ValueError(f"names must hold {self.n_variables} names, one per variable, however: names={names}")
        text = ""
        for powers, coefficient in zip(self.exponents, self.coefficients, strict=True):
            if coefficient == 0:
                continue
            factors = [n if e == 1 else f"{n}^{e}" for n, e in zip(names, powers, strict=True) if e]
            size = f"{abs(coefficient):.4g}"
            factors = factors if factors and size == "1" else [size, *factors]
            sign = ("-" if coefficient < 0 else "") if not text else (" - " if coefficient < 0 else " + ")
            text += sign + " ".join(factors)
        return text or "0"
