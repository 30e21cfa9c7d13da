import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.polynomial import polyval

from rungwise.theory import dual_kernels
from rungwise.theory.dual_kernels import dual_kernel, erf_kernel, random_feature_kernel, relu_kernel, step_kernel
from rungwise.theory.hermite import activation_values, hermite_coefficients

CORRELATIONS = np.r_[-1, -1 + 1e-12, -1 + 1e-6, np.linspace(-0.99, 0.99, 23), 0.9999, 1 - 1e-8, 1 - 1e-12, 1]


def step(t):
    return (t > 0).double()


CLOSED_FORMS = [(torch.relu, relu_kernel), (step, step_kernel), (torch.erf, erf_kernel)]


@pytest.mark.parametrize(("activation", "closed_form"), CLOSED_FORMS)
@pytest.mark.parametrize(("scales", "accuracy"), [((1, 1), 1e-14), ((0.5, 2), 1e-11), ((3, 3), 1e-8)])
def test_quadrature_equals_closed_forms_up_to_correlation_one(activation, closed_form, scales, accuracy):
    kernel = dual_kernel(activation, CORRELATIONS, *scales)
    size = closed_form(1.0, *scales)
    np.testing.assert_allclose(kernel, closed_form(CORRELATIONS, *scales), rtol=0, atol=accuracy * size)


@pytest.mark.parametrize("activation", ["tanh", "shifted_erf"])
def test_quadrature_equals_the_hermite_series_of_smooth_activations(activation):
    series = polyval(CORRELATIONS, hermite_coefficients(activation, 150) ** 2)
    np.testing.assert_allclose(dual_kernel(activation, CORRELATIONS), series, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("activation", "closed_form"), CLOSED_FORMS)
def test_closed_forms_equal_their_hermite_series(activation, closed_form):
    rho = np.linspace(-0.7, 0.7, 9)
    series = polyval(rho, hermite_coefficients(activation, 80) ** 2)
    np.testing.assert_allclose(closed_form(rho), series, rtol=0, atol=1e-12)


@given(st.floats(-1, 1), st.floats(0, 3), st.floats(0, 3))
@settings(max_examples=30, deadline=None)
def test_kernel_is_symmetric_and_obeys_cauchy_schwarz(rho, scale_u, scale_v):
    there, back = dual_kernel("erf", rho, scale_u, scale_v), dual_kernel("erf", rho, scale_v, scale_u)
    assert there == pytest.approx(float(back), abs=1e-8)
    own = dual_kernel("erf", 1.0, scale_u, scale_u) * dual_kernel("erf", 1.0, scale_v, scale_v)
    assert there**2 <= own + 1e-8


def test_small_chunks_change_nothing(monkeypatch):
    whole = dual_kernel("tanh", CORRELATIONS)
    monkeypatch.setattr(dual_kernels, "CHUNK", 1)
    np.testing.assert_allclose(dual_kernel("tanh", CORRELATIONS), whole, rtol=1e-14)


def test_arguments_broadcast():
    kernel = dual_kernel("erf", np.array([[0.1], [0.5]]), 1.0, np.array([0.5, 1.0, 2.0]))
    assert kernel.shape == (2, 3)
    assert kernel[1, 2] == pytest.approx(float(erf_kernel(0.5, 1.0, 2.0)), abs=1e-11)
    assert dual_kernel("erf", 0.5).shape == ()


@pytest.mark.parametrize("closed_form", [relu_kernel, erf_kernel, step_kernel])
def test_scale_zero_gives_the_kernel_of_a_constant_zero(closed_form):
    assert closed_form(0.3, 0.0, 1.0) == 0


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("activation", ["relu", "shifted_erf"])
def test_random_feature_kernel_is_the_mean_over_random_neurons(beta, activation):
    rng = np.random.default_rng(0)
    N, n_neurons = 6, 200_000
    # Real inputs of several lengths, among them 0, and boolean ones.
    X = np.vstack([rng.uniform(-1, 1, (2, N)), np.zeros((1, N)), rng.choice([-1.0, 1.0], (2, N))])
    Z = np.vstack([X[:1], rng.choice([-1.0, 1.0], (1, N))])
    W = rng.normal(0, np.sqrt((1 - beta**2) / N), (n_neurons, N))
    b = rng.normal(0, 1, n_neurons) * beta
    hidden_x, hidden_z = (activation_values(activation, A @ W.T + b) for A in (X, Z))
    error = 6 * np.sqrt(((hidden_x[:, None] * hidden_z) ** 2).mean(axis=2).max() / n_neurons)
    kernel = random_feature_kernel(beta, X, Z, activation)
    np.testing.assert_allclose(kernel, hidden_x @ hidden_z.T / n_neurons, rtol=0, atol=error)


def test_boolean_inputs_have_unit_variance():
    X = np.random.default_rng(0).choice([-1.0, 1.0], (20, 9))
    beta = 0.3
    expected = relu_kernel((beta**2 + (1 - beta**2) * X @ X.T / 9).clip(-1, 1))
    np.testing.assert_allclose(random_feature_kernel(beta, X, X, "relu"), expected, rtol=0, atol=1e-14)


def test_random_feature_kernel_is_positive_semidefinite():
    X = np.random.default_rng(1).uniform(-1, 1, (15, 4))
    assert np.linalg.eigvalsh(random_feature_kernel(0.5, X, X, "tanh")).min() > -1e-10


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"rho=1\.5"):
        dual_kernel("relu", 1.5)
    with pytest.raises(ValueError, match="rho=nan"):
        relu_kernel(np.nan)
    with pytest.raises(ValueError, match=r"scale=-1\.0"):
        dual_kernel("relu", 0.5, 1.0, -1.0)
    with pytest.raises(ValueError, match=r"beta=1\.1"):
        random_feature_kernel(1.1, np.ones((1, 2)), np.ones((1, 2)), "relu")
    with pytest.raises(ValueError, match=r"Z\.shape=\(1, 3\)"):
        random_feature_kernel(0.5, np.ones((1, 2)), np.ones((1, 3)), "relu")
