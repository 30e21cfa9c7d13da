import numpy as np
import pytest
import scipy.stats
import torch

from rungwise.features.activations import ACTIVATIONS, ShiftedErf, get_activation
from rungwise.theory.hermite import hermite_coefficients


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 6])
def test_shifted_erf_has_positive_hermite_coefficients_up_to_its_degree(degree):
    assert (hermite_coefficients(ShiftedErf(degree), degree) > 1e-4).all()


def test_shifted_erf_is_a_normal_distribution_function():
    t = torch.linspace(-5, 5, 41, dtype=torch.float64)
    activation = ShiftedErf(3)
    np.testing.assert_allclose(activation(t), scipy.stats.norm.cdf(2 * t - activation.threshold), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_is_finite_and_keeps_shape_and_dtype(name):
    t = torch.tensor([[-1e6, -1.0, 0.0], [1.0, 30.0, 1e6]])
    value = get_activation(name)(t)
    assert value.shape == t.shape
    assert value.dtype == t.dtype
    assert value.isfinite().all()


def test_unknown_activation_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'erf', 'relu', 'shifted_erf', 'tanh'.*activation='gelu'"):
        get_activation("gelu")
