import numpy as np
import pytest

from rungwise.theory.boolean import hypercube
from rungwise.theory.polynomial import Polynomial
from rungwise.theory.ptf import PolynomialThreshold

# x0² + x1 - 0.25, over [-1, 1]².
BOWL = PolynomialThreshold(Polynomial([[2, 0], [0, 1], [0, 0]], [1, 1, -0.25]))


def test_sign_of_zero_is_plus_one():
    threshold = PolynomialThreshold(Polynomial([[1, 0], [0, 1]], [1, 1]))
    labels = threshold(np.array([[1, -1], [-1, -1]]))
    assert labels.dtype == np.int8
    assert labels.tolist() == [1, -1]


def test_margin_and_bound_over_real_points():
    X = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, -1.0]])
    assert BOWL(X).tolist() == [-1, 1, -1]
    assert BOWL.margin(X) == 0.25
    assert BOWL.bound(X) == 1.75


def test_margin_is_negative_where_a_given_label_is_missed():
    X = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert BOWL.margin(X, [-1, 1]) == 0.25
    assert BOWL.margin(X, [-1, -1]) == -1.75


def test_unit_margin_keeps_the_labels():
    X = np.random.default_rng(0).uniform(-1, 1, size=(50, 2))
    scaled = BOWL.with_unit_margin(X)
    assert scaled.margin(X) == pytest.approx(1)
    np.testing.assert_array_equal(scaled(X), BOWL(X))


def test_polynomial_that_is_zero_at_a_row_has_no_unit_margin():
    threshold = PolynomialThreshold(Polynomial([[1, 0], [0, 1]], [1, 1]))
    with pytest.raises(ValueError, match=r"0 at row 1 of X, X\[1\]=\[-1, 1\]"):
        threshold.with_unit_margin(hypercube(2))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="at least one row"):
        BOWL.margin(np.empty((0, 2)))
    with pytest.raises(ValueError, match="at least one row"):
        BOWL.bound(np.empty((0, 2)))
    with pytest.raises(ValueError, match=r"y\.shape=\(3,\)"):
        BOWL.margin(np.zeros((2, 2)), np.ones(3))
