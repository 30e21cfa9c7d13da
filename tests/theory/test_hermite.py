import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite_e import HermiteE
from scipy.special import factorial
from scipy.stats import norm

from rungwise.features.activations import ShiftedErf
from rungwise.theory.hermite import (
    erf_hermite,
    hermite_coefficients,
    hermite_polynomials,
    relu_hermite,
    step_hermite,
)


def step(t):
    return (t > 0).double()


@pytest.mark.parametrize(
    ("activation", "closed_form"), [(torch.relu, relu_hermite), (step, step_hermite), (torch.erf, erf_hermite)]
)
@pytest.mark.parametrize("max_degree", [0, 1, 2, 40])
def test_quadrature_equals_closed_forms_despite_kinks_and_jumps(activation, closed_form, max_degree):
    coefficients = hermite_coefficients(activation, max_degree)
    assert coefficients.shape == (max_degree + 1,)
    np.testing.assert_allclose(coefficients, closed_form(max_degree), rtol=0, atol=1e-14)


def test_polynomials_equal_numpys():
    points = np.linspace(-3, 3, 11)
    expected = [HermiteE.basis(k)(points) / factorial(k) ** 0.5 for k in range(8)]
    np.testing.assert_allclose(hermite_polynomials(points, 7), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", [0, 1, 5, 12])
def test_coefficients_of_a_hermite_polynomial_are_one_hot(k):
    def activation(t):
        return torch.from_numpy(hermite_polynomials(t.numpy(), k)[k])

    np.testing.assert_allclose(hermite_coefficients(activation, 12), np.eye(13)[k], atol=1e-13)


@given(st.integers(1, 10))
@settings(max_examples=10, deadline=None)
def test_shifted_erf_has_positive_coefficients_up_to_its_degree(degree):
    assert (hermite_coefficients(ShiftedErf(degree), degree) > 0).all()


@pytest.mark.parametrize("degree", [1, 4, 8])
def test_shifted_erf_equals_its_closed_form(degree):
    activation = ShiftedErf(degree)
    # E Φ(2(g + s) - θ) = Φ((2s - θ) / √5); its derivatives in s at 0 give the coefficients.
    where = activation.threshold / 5**0.5
    k = np.arange(1, 13)
    expected = (2 / 5**0.5) ** k * hermite_polynomials(np.array([where]), 11)[:, 0] * norm.pdf(where) / np.sqrt(k)
    coefficients = hermite_coefficients(activation, 12)
    assert coefficients[0] == pytest.approx(norm.cdf(-where), abs=1e-14)
    np.testing.assert_allclose(coefficients[1:], expected, rtol=0, atol=1e-14)


def test_energy_of_the_coefficients_is_that_of_the_activation():
    # Parseval for a smooth function: Σ a_k² = E tanh(g)².
    points, weights = np.polynomial.hermite_e.hermegauss(100)
    energy = weights @ np.tanh(points) ** 2 / np.sqrt(2 * np.pi)
    assert (hermite_coefficients("tanh", 80) ** 2).sum() == pytest.approx(energy, abs=1e-9)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="max_degree=-1"):
        hermite_coefficients("relu", -1)
    with pytest.raises(ValueError, match="max_degree=-1"):
        relu_hermite(-1)
    with pytest.raises(ValueError, match="activation='nope'"):
        hermite_coefficients("nope", 3)
    with pytest.raises(ValueError, match="must be finite"):
        hermite_coefficients(torch.sqrt, 3)
