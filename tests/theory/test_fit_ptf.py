import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear, minimize

from rungwise.theory import fit_ptf
from rungwise.theory.boolean import conjunction, fourier_expansion, hypercube, majority, multiplexer, parity
from rungwise.theory.fit_ptf import largest_margin_ptf, ptf_degree, smallest_norm_ptf
from rungwise.theory.polynomial import monomial_exponents, monomials

tables = st.integers(1, 5).flatmap(lambda K: st.lists(st.sampled_from([-1, 1]), min_size=2**K, max_size=2**K))


def cube_of(table):
    return hypercube(len(table).bit_length() - 1)


def odd_max_bit(K):
    """Return a table whose linear margins shrink exponentially: whether the first true bit has an even index."""
    X = hypercube(K)
    first = np.where((X > 0).any(axis=1), (X > 0).argmax(axis=1), 1)
    return np.where(first % 2 == 0, 1, -1)


@pytest.mark.parametrize(
    ("table", "degree", "norm", "bound"),
    [
        # The vote x + y + z; any smaller norm would miss margin 1 where two of three are true.
        (majority(3), 1, 3**0.5, 3),
        (majority(5), 1, 5**0.5, 5),
        # x + y - 1: margin 1 on (1, 1), (1, -1), (-1, 1).
        (conjunction(2), 1, 3**0.5, 3),
        (parity(3), 3, 1, 1),
        (multiplexer(), 2, 1, 1),
        (np.ones(4), 0, 1, 1),
    ],
)
def test_smallest_norm_of_known_gates(table, degree, norm, bound):
    X = cube_of(table)
    threshold = smallest_norm_ptf(X, table, degree)
    assert threshold.polynomial.norm == pytest.approx(norm, abs=1e-8)
    assert threshold.bound(X) == pytest.approx(bound, abs=1e-8)
    assert threshold.margin(X, table) == pytest.approx(1, abs=1e-12)
    assert threshold.polynomial.is_multilinear


@given(tables)
@settings(max_examples=60, deadline=None)
def test_smallest_norm_solution_is_feasible_and_optimal_by_duality(table):
    X, table = cube_of(table), np.array(table)
    degree = ptf_degree(X, table, X.shape[1])
    threshold = smallest_norm_ptf(X, table, degree)
    assert threshold.polynomial.degree <= degree
    assert threshold.margin(X, table) > 1 - 1e-9
    # For any u >= 0, Σu / ||A^T u|| bounds the norm from below; a separate solver supplies a good u.
    A = table[:, None] * monomials(X, monomial_exponents(X.shape[1], degree, multilinear=True))
    stacked, target = np.vstack([A.T, np.ones(len(A))]), np.r_[np.zeros(A.shape[1]), 1.0]
    u = lsq_linear(stacked, target, (0, np.inf), method="bvls", tol=1e-13, max_iter=10 * len(A)).x
    assert threshold.polynomial.norm == pytest.approx(u.sum() / np.linalg.norm(A.T @ u), rel=1e-7)


@given(tables)
@settings(max_examples=30, deadline=None)
def test_at_full_degree_nothing_beats_the_fourier_expansion(table):
    X = cube_of(table)
    fitted = smallest_norm_ptf(X, table, X.shape[1])
    assert fitted.polynomial.norm == pytest.approx(fourier_expansion(table).norm, abs=1e-8)


@given(tables)
@settings(max_examples=30, deadline=None)
def test_degree_is_the_smallest_one(table):
    X = cube_of(table)
    degree = ptf_degree(X, table, X.shape[1])
    assert degree <= fourier_expansion(table).degree
    if degree > 0:
        with pytest.raises(ValueError, match="no polynomial threshold function"):
            smallest_norm_ptf(X, table, degree - 1)


@pytest.mark.parametrize(
    ("table", "degree"),
    [(majority(5), 1), (conjunction(4), 1), (parity(2), 2), (parity(4), 4), (multiplexer(), 2), (np.ones(8), 0)],
)
def test_degree_of_known_gates(table, degree):
    assert ptf_degree(cube_of(table), table, 5) == degree


def test_parity_of_two_is_no_linear_threshold():
    for fit in (smallest_norm_ptf, largest_margin_ptf):
        with pytest.raises(ValueError, match=r"degree <= 1.*raise the degree.*degree=1"):
            fit(hypercube(2), parity(2), 1)
    with pytest.raises(ValueError, match="max_degree=1"):
        ptf_degree(hypercube(2), parity(2), 1)


def test_largest_margin_is_one_over_the_smallest_sum_of_coefficients():
    X, table = hypercube(3), majority(3)
    threshold = largest_margin_ptf(X, table, 1)
    assert threshold.margin(X, table) == pytest.approx(1 / 3)
    assert np.abs(threshold.polynomial.coefficients).sum() == pytest.approx(1)


@pytest.mark.parametrize("K", [6, 9])
def test_exponentially_small_margins_are_found(K):
    X, table = hypercube(K), odd_max_bit(K)
    threshold = smallest_norm_ptf(X, table, 1)
    np.testing.assert_array_equal(threshold(X), table)
    assert threshold.polynomial.norm > 1.5**K / 2


def test_wrong_weights_of_nnls_are_noticed(monkeypatch):
    monkeypatch.setattr(fit_ptf, "_nnls", lambda matrix, target: np.arange(1.0, matrix.shape[1] + 1))
    X = hypercube(3)
    for y, norm in ((X[:, 1], 1), (-X[:, 1], 1), (majority(3), 3**0.5)):
        assert smallest_norm_ptf(X, y, 1).polynomial.norm == pytest.approx(norm)


def test_real_points_use_powers_and_reach_margin_one():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(300, 2))
    values = X[:, 0] ** 2 - X[:, 1] ** 2 / 2 - 0.2
    X, y = X[np.abs(values) > 0.05], np.sign(values[np.abs(values) > 0.05])
    threshold = smallest_norm_ptf(X, y, 2)
    assert threshold.margin(X, y) == pytest.approx(1, abs=1e-9)
    assert not threshold.polynomial.is_multilinear
    # A general solver agrees.
    A = y[:, None] * monomials(X, monomial_exponents(2, 2))
    start = smallest_norm_ptf(X, y, 2).polynomial.norm * np.ones(6)
    solved = minimize(
        lambda c: (c @ c / 2, c),
        start,
        jac=True,
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda c: A @ c - 1, "jac": lambda c: A},
        options={"maxiter": 500, "ftol": 1e-13},
    )
    assert threshold.polynomial.norm == pytest.approx(np.linalg.norm(solved.x), rel=1e-5)
    with pytest.raises(ValueError, match="degree <= 2"):
        smallest_norm_ptf(X, y, 2, multilinear=True)


def test_repeated_points_change_nothing():
    X, table = hypercube(3), majority(3)
    twice = smallest_norm_ptf(np.vstack([X, X]), np.r_[table, table], 1)
    np.testing.assert_allclose(twice.polynomial.coefficients, 1)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.empty((0, 2)), [], r"X\.shape=\(0, 2\)"),
        (np.ones(3), [1, 1, 1], r"X\.shape=\(3,\)"),
        (np.ones((2, 2)), [1], r"y\.shape=\(1,\)"),
        (np.ones((2, 2)), [0, 1], r"\[0\.0, 1\.0\]"),
        ([[np.nan]], [1], "NaN"),
        ([[1], [1]], [1, -1], "contradict"),
    ],
)
def test_bad_points_are_named(X, y, message):
    with pytest.raises(ValueError, match=message):
        smallest_norm_ptf(X, y, 1)
