from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rungwise.theory.polynomial import Polynomial, monomial_exponents, monomials

sizes = given(st.integers(0, 5), st.integers(0, 4))


@sizes
@settings(deadline=None)
def test_number_of_monomials_is_the_binomial_coefficient(n_variables, degree):
    assert len(monomial_exponents(n_variables, degree)) == comb(n_variables + degree, degree)


@sizes
@settings(deadline=None)
def test_number_of_multilinear_monomials_is_the_number_of_small_subsets(n_variables, degree):
    expected = sum(comb(n_variables, k) for k in range(degree + 1))
    assert len(monomial_exponents(n_variables, degree, multilinear=True)) == expected


@sizes
@settings(deadline=None)
def test_monomials_are_distinct_and_of_degree_in_range(n_variables, degree):
    exponents = monomial_exponents(n_variables, degree)
    assert len(np.unique(exponents, axis=0)) == len(exponents)
    assert exponents.sum(axis=1).max() == (degree if n_variables else 0)


def test_evaluation_equals_products_written_out():
    rng = np.random.default_rng(0)
    exponents = monomial_exponents(3, 3)
    coefficients = rng.normal(size=len(exponents))
    X = rng.uniform(-1, 1, size=(7, 3))
    terms = list(zip(coefficients, exponents, strict=True))
    expected = [sum(c * np.prod(x.astype(object) ** powers) for c, powers in terms) for x in X]
    np.testing.assert_allclose(Polynomial(exponents, coefficients)(X), np.array(expected, dtype=float))


def test_power_zero_of_zero_is_one():
    np.testing.assert_array_equal(monomials(np.zeros((1, 2)), np.array([[0, 0], [1, 0]])), [[1, 0]])


def test_terms_with_coefficient_zero_count_for_nothing():
    p = Polynomial([[0], [1], [2]], [1, 1, 0])
    assert p.degree == 1
    assert p.is_multilinear
    assert str(p) == "1 + x0"


def test_zero_polynomial_has_degree_zero_and_a_name():
    p = Polynomial(np.zeros((0, 2), dtype=int), [])
    assert (p.degree, p.norm, str(p)) == (0, 0.0, "0")
    np.testing.assert_array_equal(p(np.ones((3, 2))), np.zeros(3))


def test_scaling_multiplies_values_and_norm():
    p = Polynomial([[1, 0], [0, 2]], [3, 4])
    assert (2 * p).norm == 10 == (p * 2).norm
    np.testing.assert_array_equal((2 * p)([[1, 2]]), 2 * p([[1, 2]]))


@pytest.mark.parametrize(
    ("exponents", "coefficients", "expected"),
    [
        ([[1, 1, 1], [1, 0, 0]], [-0.5, 0.5], "-0.5 a b c + 0.5 a"),
        ([[0, 0, 0], [0, 1, 0]], [-1, 1], "-1 + b"),
        ([[3, 0, 1]], [1 / 3], "0.3333 a^3 c"),
    ],
)
def test_formula_reads_like_a_formula(exponents, coefficients, expected):
    assert Polynomial(exponents, coefficients).formula(["a", "b", "c"]) == expected


def test_polynomial_cannot_be_changed_through_its_arrays():
    given_coefficients = np.ones(1)
    p = Polynomial([[1]], given_coefficients)
    given_coefficients[0] = 5
    assert p.coefficients[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        p.coefficients[0] = 2


@pytest.mark.parametrize(
    ("exponents", "coefficients", "message"),
    [
        ([1, 2], [1, 1], r"exponents\.shape=\(2,\)"),
        ([[-1]], [1], "at least 0"),
        ([[0.5]], [1], "whole numbers"),
        ([[1]], [1, 2], r"coefficients\.shape=\(2,\)"),
        ([[1]], [np.nan], "finite"),
        ([[1], [1]], [1, 2], "occur once"),
    ],
)
def test_bad_arguments_are_named(exponents, coefficients, message):
    with pytest.raises(ValueError, match=message):
        Polynomial(exponents, coefficients)


def test_bad_calls_are_named():
    p = Polynomial([[1, 1]], [1])
    with pytest.raises(ValueError, match=r"X\.shape=\(3,\)"):
        p(np.ones(3))
    with pytest.raises(ValueError, match=r"X\.shape=\(2, 3\)"):
        p(np.ones((2, 3)))
    with pytest.raises(ValueError, match="2 names"):
        p.formula(["a"])
    with pytest.raises(ValueError, match="degree=-1"):
        monomial_exponents(2, -1)
    with pytest.raises(ValueError, match="n_variables=-1"):
        monomial_exponents(-1, 2)
