"""Fitting polynomial threshold functions to labelled points: the smallest degree, margin and norm that they allow.

With Φ the monomials' values, a degree-K PTF of the points is a coefficient vector c with y_i (Φ c)_i >= 1 for all i:
linear inequalities. Linear programming decides whether there is one (and gives the smallest Σ|c|, or largest margin);
the smallest Euclidean norm, the paper's M, is the least-distance problem of Lawson and Hanson, solved by NNLS.
"""

import numpy as np
from scipy.optimize import linprog, lsq_linear, nnls

from rungwise.theory.polynomial import Polynomial, monomial_exponents, monomials
from rungwise.theory.ptf import PolynomialThreshold

# At Σ|c| = 1, margins below this cannot be told from rounding errors in the monomials' sums.
SMALLEST_MARGIN = 1e-10


def largest_margin_ptf(
    X: np.ndarray, y: np.ndarray, degree: int, multilinear: bool | None = None
) -> PolynomialThreshold:
    """Return the threshold function with the largest margin among those with Σ|c| <= 1, by linear programming.

    Parameters
    ----------
    X : array of shape (n_samples, n_variables), at least one row
        Points in {-1, +1}^d or [-1, 1]^d.
    y : array of shape (n_samples,), of ±1
        Labels.
    degree : int, at least 0
        Largest degree.
    multilinear : bool or None
        Whether to use multilinear monomials only; None does if all of X is ±1, where the others are redundant.

    Returns
    -------
    threshold : PolynomialThreshold
        ``threshold.margin(X, y)`` is the margin t, found to the accuracy of HiGHS (about 1e-7). p / t has the smallest
        Σ|c| of all polynomials with margin 1, namely 1 / t.

    Raises
    ------
    ValueError
        If y is not ±1, shapes disagree, or no polynomial of that degree has these signs with a margin above 1e-10.

    Examples
    --------
    >>> both = largest_margin_ptf([[-1, -1], [-1, 1], [1, -1], [1, 1]], [-1, -1, -1, 1], degree=1)
    >>> print(both.polynomial)
    -0.3333 + 0.3333 x0 + 0.3333 x1
    """
    X, y = _check_points(X, y)
    exponents = _exponents(X, degree, multilinear)
    signed = _signed_monomials(X, y, exponents)
    coefficients = _largest_margin_coefficients(signed, degree)
    return _threshold(exponents, coefficients, signed)


def smallest_norm_ptf(
    X: np.ndarray, y: np.ndarray, degree: int, multilinear: bool | None = None
) -> PolynomialThreshold:
    """Return the threshold function with margin 1 and the smallest coefficient norm: ``polynomial.norm`` is the M.

    The linear program of ``largest_margin_ptf`` decides feasibility and gives a first solution; least-distance
    programming then minimises the Euclidean norm (the program alone minimises Σ|c|, whose solution only bounds M from
    above). The result is scaled to margin 1, so that its norm is always a valid M; where the solvers converge, as they
    did in all our tests, it is the smallest one to 9 digits, which is checked by duality.

    Parameters
    ----------
    X, y, degree, multilinear
        As in ``largest_margin_ptf``.

    Returns
    -------
    threshold : PolynomialThreshold
        With ``threshold.margin(X, y)`` equal to 1 up to rounding.

    Raises
    ------
    ValueError
        As in ``largest_margin_ptf``.

    Examples
    --------
    >>> from rungwise.theory.boolean import hypercube, majority
    >>> vote = smallest_norm_ptf(hypercube(3), majority(3), degree=1)
    >>> print(vote.polynomial)
    x0 + x1 + x2
    >>> round(vote.polynomial.norm**2, 6), round(vote.bound(hypercube(3)), 6)
    (3.0, 3.0)
    """
    X, y = _check_points(X, y)
    exponents = _exponents(X, degree, multilinear)
    signed = _signed_monomials(X, y, exponents)
    first = _largest_margin_coefficients(signed, degree)
    first /= (signed @ first).min()
    return _threshold(exponents, _least_norm_coefficients(signed, first), signed)


def ptf_degree(X: np.ndarray, y: np.ndarray, max_degree: int, multilinear: bool | None = None) -> int:
    """Return the smallest degree of a polynomial with the signs y at X.

    Parameters
    ----------
    X, y, multilinear
        As in ``largest_margin_ptf``.
    max_degree : int, at least 0
        Largest degree to try.

    Returns
    -------
    degree : int in 0 … max_degree

    Raises
    ------
    ValueError
        If none up to ``max_degree`` will do.

    Examples
    --------
    >>> from rungwise.theory.boolean import hypercube, majority, parity
    >>> [ptf_degree(hypercube(3), table, max_degree=3) for table in (majority(3), parity(3))]
    [1, 3]
    """
    X, y = _check_points(X, y)
    for degree in range(max_degree + 1):
        exponents = _exponents(X, degree, multilinear)
        signed = _signed_monomials(X, y, exponents)
        if (signed @ _linear_program(signed)).min() > SMALLEST_MARGIN:
            return degree
    raise ValueError(f"the labels are no polynomial threshold function of degree <= max_degree={max_degree} of X")


def _check_points(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if X.ndim != 2 or len(X) == 0:
        raise ValueError(f"X must be of shape (n_samples, n_variables), n_samples >= 1, however: X.shape={X.shape}")
    if y.shape != (len(X),):
        raise ValueError(f"y must be of shape ({len(X)},), one label per row of X, however: y.shape={y.shape}")
    if not np.isfinite(X).all():
        raise ValueError("X must be finite, however: it holds NaN or infinity; leave such rows out")
    if not np.isin(y, (-1, 1)).all():
        raise ValueError(f"y must hold -1 and +1, however: it holds {np.unique(y).tolist()}")
    return X, y


def _exponents(X: np.ndarray, degree: int, multilinear: bool | None) -> np.ndarray:
    if multilinear is None:
        multilinear = bool((np.abs(X) == 1).all())
    return monomial_exponents(X.shape[1], degree, multilinear)


def _signed_monomials(X: np.ndarray, y: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """Return the distinct rows of y_i Φ(x_i), of shape (n_points, n_terms): the constraints' left-hand sides."""
    return np.unique(y[:, None] * monomials(X, exponents), axis=0)


def _linear_program(signed: np.ndarray) -> np.ndarray:
    """Return c that maximises min(signed @ c) subject to Σ|c| <= 1; c = 0 is feasible, so there is always one."""
    n_points, n_terms = signed.shape
    # Unknowns: the positive parts of c, the negative parts, the margin.
    objective = np.r_[np.zeros(2 * n_terms), -1.0]
    constraints = np.vstack([np.hstack([-signed, signed, np.ones((n_points, 1))]), np.r_[np.ones(2 * n_terms), 0.0]])
    solution = linprog(objective, A_ub=constraints, b_ub=np.r_[np.zeros(n_points), 1.0], method="highs")
    if solution.x is None:
        raise RuntimeError(f"linear programming failed on {n_points} points and {n_terms} terms: {solution.message}")
    positive, negative, _ = np.split(solution.x, [n_terms, 2 * n_terms])
    return positive - negative


def _largest_margin_coefficients(signed: np.ndarray, degree: int) -> np.ndarray:
    coefficients = _linear_program(signed)
    # The margin is recomputed from the coefficients: a positive one proves itself, whatever the solver's tolerance.
    margin = (signed @ coefficients).min()
    if margin <= SMALLEST_MARGIN:
        raise ValueError(
            f"the labels are no polynomial threshold function of degree <= {degree} of these points: raise the degree, "
            f"or remove points that contradict one another, however: degree={degree}, largest margin={margin:.3g}"
        )
    return coefficients


def _least_norm_coefficients(signed: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return c of least Euclidean norm with signed @ c >= 1, from any feasible ``start``.

    Least-distance programming (Lawson and Hanson, Solving Least Squares Problems, chapter 23): if u >= 0 minimises
    ||E u - f|| for E = (signed | h)^T and f = (0, …, 0, 1), the c of least norm is a multiple of signed^T u, for any
    h > 0; h near 1 / ||c|| balances the rows of E. Duality tells how good any u >= 0 is: no c has a smaller norm than
    Σu / ||signed^T u||.
    """
    stacked = np.vstack([signed.T, np.full(len(signed), 1 / np.linalg.norm(start))])
    target = np.r_[np.zeros(signed.shape[1]), 1.0]
    best, norm = start, np.linalg.norm(start)
    for solve in (_nnls, _bounded_least_squares):
        weights = solve(stacked, target)
        direction = signed.T @ weights
        length, margin = np.linalg.norm(direction), (signed @ direction).min()
        if margin > 0 and length / margin < norm:
            best, norm = direction / margin, length / margin
        if length > 0 and norm <= weights.sum() / length * (1 + 1e-9):
            break  # Proved optimal.
    return best


def _nnls(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Solve fast; SciPy 1.17 returns wrong weights for some degenerate matrices, which duality reveals."""
    try:
        return nnls(matrix, target, maxiter=30 * matrix.shape[1])[0]
    except RuntimeError:  # Out of iterations.
        return np.zeros(matrix.shape[1])


def _bounded_least_squares(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Solve the same by another active-set method: seldom needed, slower, but correct on all that NNLS gets wrong."""
    # Each iteration frees or fixes one weight; the default limit, one per weight, can be too few.
    return lsq_linear(matrix, target, (0, np.inf), method="bvls", tol=1e-13, max_iter=10 * matrix.shape[1]).x


def _threshold(exponents: np.ndarray, coefficients: np.ndarray, signed: np.ndarray) -> PolynomialThreshold:
    """Drop the coefficients that are only rounding errors, keeping the margin, so that the formula is readable."""
    kept = np.abs(coefficients) > 1e-9 * np.abs(coefficients).max()
    before, after = (signed @ coefficients).min(), (signed @ (coefficients * kept)).min()
    if after < before / 2:  # The margin is as small as they are: they count.
        kept, after = np.ones_like(kept), before
    return PolynomialThreshold(Polynomial(exponents[kept], coefficients[kept] * (before / after)))
