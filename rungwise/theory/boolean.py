"""Boolean functions of K bits, as truth tables over {-1, +1}, and their Fourier expansions.

Conventions, everywhere in rungwise: +1 is true and -1 is false. A table is an array of 2^K values ±1; entry i is the
value at row i of ``hypercube(K)``: the first input is the most significant bit of i, as truth tables are written.
"""

from collections.abc import Callable

import numpy as np

from rungwise.theory.polynomial import Polynomial


def hypercube(K: int) -> np.ndarray:
    """Return all 2^K inputs of K bits, in the order of truth tables.

    Parameters
    ----------
    K : int, at least 0
        Number of bits.

    Returns
    -------
    inputs : int8 array of shape (2**K, K), of ±1
        Row i is i in binary, the first column the most significant bit, +1 for a 1.

    Raises
    ------
    ValueError
        If K is negative.

    Examples
    --------
    >>> hypercube(2).tolist()
    [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    """
    if K < 0:
        raise ValueError(f"K must be at least 0, however: K={K}")
    bits = (np.arange(2**K)[:, None] >> np.arange(K - 1, -1, -1)) & 1
    return (2 * bits - 1).astype(np.int8)


def check_table(table: np.ndarray) -> np.ndarray:
    """Return a truth table as an int8 array, or raise a ValueError if it is not 2^K values ±1."""
    table = np.asarray(table)
    if table.ndim != 1 or len(table) == 0 or len(table) & (len(table) - 1):
        raise ValueError(f"a truth table must be of shape (2**K,), however: table.shape={table.shape}")
    if not np.isin(table, (-1, 1)).all():
        raise ValueError(f"a truth table must hold -1 (false) and +1 (true), however: table={table.tolist()}")
    return table.astype(np.int8)


def table_of(function: Callable[[np.ndarray], np.ndarray], K: int) -> np.ndarray:
    """Return the truth table of a vectorised function of K bits.

    Parameters
    ----------
    function : callable
        Takes an array of shape (2**K, K) of ±1, returns one of shape (2**K,) of ±1.
    K : int, at least 0
        Number of bits.

    Returns
    -------
    table : int8 array of shape (2**K,), of ±1

    Examples
    --------
    >>> table_of(lambda X: X.min(axis=1), 2).tolist()
    [-1, -1, -1, 1]
    """
    table = check_table(function(hypercube(K)))
    if len(table) != 2**K:
        raise ValueError(f"function must return one value per input, {2**K} in all, however: it returned {len(table)}")
    return table


def look_up(table: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Evaluate a truth table at the rows of X, of shape (n_samples, K) of ±1; returns shape (n_samples,).

    Only the sign of X is read: checking that X is ±1 is the caller's business.

    Examples
    --------
    >>> look_up(majority(3), np.array([[1, -1, 1], [-1, -1, 1]])).tolist()
    [1, -1]
    """
    row = np.zeros(len(X), dtype=np.intp)
    for column in np.asarray(X).T:
        row = 2 * row + (column > 0)
    return np.asarray(table)[row]


def fourier_expansion(table: np.ndarray) -> Polynomial:
    """Return the multilinear polynomial that equals a boolean function on {-1, +1}^K.

    p(x) = Σ_S f̂(S) Π_{j in S} x_j with f̂(S) = E_x f(x) Π_{j in S} x_j, by the fast Walsh-Hadamard transform: K passes
    over the table. By Parseval ||p||_co = 1, and |p| = 1 on the cube, so f is a (K, 1, 1)-PTF.

    Parameters
    ----------
    table : array of shape (2**K,), of ±1
        Truth table.

    Returns
    -------
    polynomial : Polynomial
        In K variables, its non-zero terms only, by degree. The coefficients are exact multiples of 2^-K.

    Raises
    ------
    ValueError
        If ``table`` is not a truth table.

    Examples
    --------
    >>> print(fourier_expansion(majority(3)))
    0.5 x0 + 0.5 x1 + 0.5 x2 - 0.5 x0 x1 x2
    """
    table = check_table(table)
    K = len(table).bit_length() - 1
    spectrum = table.astype(np.float64).reshape((2,) * K)
    for axis in range(K):
        false, true = np.split(spectrum, 2, axis=axis)
        # f = (f(+) + f(-))/2 + x (f(+) - f(-))/2 in one variable x; afterwards index 1 means that x is in S.
        spectrum = np.concatenate([true + false, true - false], axis=axis) / 2
    exponents = (hypercube(K).astype(np.int64) + 1) // 2
    coefficients = spectrum.ravel()
    terms = np.flatnonzero(coefficients)
    # Sorted by degree, then with the first variables first, as one would write the formula.
    terms = terms[np.lexsort((-terms, exponents[terms].sum(axis=1)))]
    return Polynomial(exponents[terms], coefficients[terms])


def _check_fan_in(K: int) -> None:
    if K < 1:
        raise ValueError(f"a gate needs at least one input, however: K={K}")


def majority(K: int) -> np.ndarray:
    """Return the table of the majority of K bits, K odd.

    Raises
    ------
    ValueError
        If K is not odd and positive: an even number of bits can be tied.
    """
    if K < 1 or K % 2 == 0:
        raise ValueError(f"a majority needs an odd number of inputs (an even number can be tied), however: K={K}")
    return table_of(lambda X: np.sign(X.sum(axis=1)), K)


def parity(K: int) -> np.ndarray:
    """Return the table of the parity (exclusive or) of K bits: true if an odd number of them is true.

    As +1 is true, this is (-1)^{K-1} times the product of the inputs: for two bits, minus the product.
    """
    _check_fan_in(K)
    return table_of(lambda X: 2 * ((X > 0).sum(axis=1) % 2) - 1, K)


def multiplexer() -> np.ndarray:
    """Return the table of the multiplexer of (selector, a, b): a if the selector is true, b if it is false."""
    return table_of(lambda X: np.where(X[:, 0] > 0, X[:, 1], X[:, 2]), 3)


def conjunction(K: int) -> np.ndarray:
    """Return the table of the conjunction (and) of K bits: true if all are."""
    _check_fan_in(K)
    return table_of(lambda X: X.min(axis=1), K)


def disjunction(K: int) -> np.ndarray:
    """Return the table of the disjunction (or) of K bits: true if any is."""
    _check_fan_in(K)
    return table_of(lambda X: X.max(axis=1), K)
