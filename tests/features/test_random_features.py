import math

import numpy as np
import pytest
import torch

from rungwise.features import FEATURE_MAPS, LAYERS, RandomFeatures, RandomLayer
from rungwise.theory import random_feature_kernel


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("activation", ["relu", "tanh", "erf", "shifted_erf"])
def test_kernel_of_random_features_converges_at_the_monte_carlo_rate(activation):
    beta, n_seeds = 0.3, 12
    X = np.random.default_rng(0).choice([-1.0, 1.0], size=(6, 5))
    expected = torch.as_tensor(random_feature_kernel(beta, X, X, activation))
    stream = torch.as_tensor(X)
    widths = 2.0 ** np.arange(6, 14)
    errors = []
    for width in widths.astype(int).tolist():
        features = RandomFeatures(width, activation, beta)
        hidden = [features.fit(stream, seeded(1000 * seed + width))(stream) for seed in range(n_seeds)]
        kernels = torch.stack([h @ h.T for h in hidden])
        errors.append((kernels - expected).square().mean().sqrt().item())
    slope = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)
    assert errors[-1] < 0.06 * expected.diagonal().max()


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9])
def test_weights_and_biases_have_the_variances_of_beta_xavier(beta):
    n_inputs, width = 20, 20_000
    layer = RandomFeatures(width, beta=beta).fit(torch.zeros(1, n_inputs).double(), seeded(0))
    assert layer.weight.shape == (n_inputs, width)
    # Six standard errors of a sample variance, which are variance · sqrt(2 / sample size).
    assert layer.weight.var().item() == pytest.approx((1 - beta**2) / n_inputs, rel=6 * math.sqrt(2 / 400_000))
    assert layer.bias.var().item() == pytest.approx(beta**2, rel=6 * math.sqrt(2 / width))
    assert abs(layer.weight.mean().item()) < 6 / math.sqrt(n_inputs * 400_000)


def test_pre_activations_of_signs_have_unit_variance():
    stream = torch.ones(1, 7).double()
    layer = RandomFeatures(width=100_000, beta=0.4).fit(stream, seeded(0))
    variance = (stream @ layer.weight + layer.bias).var().item()
    assert variance == pytest.approx(1, rel=6 * math.sqrt(2 / 100_000))


@pytest.mark.parametrize("activation", ["relu", "tanh", "erf", "shifted_erf"])
def test_layer_is_the_formula(activation):
    functions = {
        "relu": lambda t: max(t, 0.0),
        "tanh": math.tanh,
        "erf": math.erf,
        # Φ(2t - θ), θ = √5 (√3 + 0.2): √3 is the largest zero of He_3.
        "shifted_erf": lambda t: (1 + math.erf((2 * t - math.sqrt(5) * (math.sqrt(3) + 0.2)) / math.sqrt(2))) / 2,
    }
    stream = torch.randn(4, 3, generator=seeded(1), dtype=torch.float64)
    layer = RandomFeatures(5, activation).fit(stream, seeded(0))
    hidden = layer(stream)
    for i in range(4):
        for unit in range(5):
            t = sum(stream[i, k].item() * layer.weight[k, unit].item() for k in range(3)) + layer.bias[unit].item()
            assert hidden[i, unit].item() == pytest.approx(functions[activation](t) / math.sqrt(5), abs=1e-14)


def test_forward_leaves_the_stream_alone():
    stream = torch.randn(4, 3, generator=seeded(1))
    kept = stream.clone()
    RandomFeatures(5, "relu").fit(stream, seeded(0))(stream)
    assert torch.equal(stream, kept)


def test_same_seed_gives_the_same_layer_and_the_generator_moves_on():
    stream = torch.zeros(2, 3)
    generator = seeded(5)
    first, second = (RandomFeatures(4).fit(stream, generator) for _ in range(2))
    again = RandomFeatures(4).fit(stream, seeded(5))
    assert torch.equal(first.weight, again.weight)
    assert torch.equal(first.bias, again.bias)
    assert not torch.equal(first.weight, second.weight)


def test_draw_does_not_touch_the_global_generator():
    before = torch.get_rng_state()
    RandomFeatures(4).fit(torch.zeros(2, 3), seeded(0))
    assert torch.equal(before, torch.get_rng_state())


def test_single_precision_layer_is_the_double_precision_one_rounded():
    double = RandomFeatures(4).fit(torch.zeros(2, 3).double(), seeded(0))
    single = RandomFeatures(4).fit(torch.zeros(2, 3), seeded(0))
    assert single.weight.dtype == torch.float32
    assert torch.equal(single.weight, double.weight.float())


def test_layer_is_rebuilt_from_its_config_and_tensors():
    layer = RandomFeatures(4, "tanh").fit(torch.zeros(2, 3), seeded(0))
    rebuilt = LAYERS[layer.kind].from_config(**layer.config)
    rebuilt.load_state_dict(layer.state_dict())
    stream = torch.randn(5, 3, generator=seeded(1))
    assert torch.equal(rebuilt(stream), layer(stream))
    assert not list(layer.parameters())


def test_random_features_are_listed():
    assert FEATURE_MAPS["random"] is RandomFeatures
    assert LAYERS["random"] is RandomLayer


@pytest.mark.parametrize("width", [0, -1, 2.5, "8"])
def test_width_must_be_a_positive_integer(width):
    with pytest.raises(ValueError, match="width must be a whole number of at least 1, however: width="):
        RandomFeatures(width=width)


def test_unknown_activation_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'erf', 'relu', 'shifted_erf', 'tanh'.*activation='sine'"):
        RandomFeatures(activation="sine")
    with pytest.raises(ValueError, match="activation='sine'"):
        RandomLayer.from_config([3, 4], "sine")


@pytest.mark.parametrize("beta", [-0.1, 1, 1.5, math.nan])
def test_beta_must_be_in_range(beta):
    with pytest.raises(ValueError, match="beta must be a number of at least 0 and less than 1, however: beta="):
        RandomFeatures(beta=beta)
