"""Sparse features: units that see few entries, as the formulas say, and chosen for what the labels need."""

import numpy as np
import pytest
import torch

from rungwise.features.sparse import SparseFeatures, SparseLayer
from rungwise.fitting.folds import Grouping
from rungwise.fitting.losses import LOSSES, SquaredLoss
from rungwise.fitting.objective import Objective
from rungwise.fitting.proposals import make_proposals
from rungwise.fitting.training import Training
from rungwise.network import ResidualNetwork


def example_layer(dtype=torch.float64):
    return SparseLayer(
        linear=torch.tensor([2, 0]),
        entry=torch.tensor([0, 1, 1, 3]),
        threshold=torch.tensor([0.0, -0.5, 0.5, 0.0]),
        products=torch.tensor([[0, 3], [1, 4], [2, 1]]),
        wide_weight=torch.tensor([[1.0, 0.0], [1.0, 0.5], [-1.0, 0.0], [0.0, 0.25]]),
        wide_bias=torch.tensor([-1.0, 0.125]),
    ).to(dtype)


def objective(stream, targets, loss=None, weights=None):
    targets = torch.as_tensor(targets, dtype=stream.dtype)
    weights = torch.ones_like(targets) if weights is None else torch.as_tensor(weights, dtype=stream.dtype)
    return Objective(loss or SquaredLoss(), stream[:, :0], targets, weights, torch.zeros_like(targets))


def fit(stream, targets, seed=0, loss=None, **settings):
    stream = torch.as_tensor(stream)
    generator = torch.Generator().manual_seed(seed)
    return SparseFeatures(**settings).fit(stream, generator, objective(stream, targets, loss))


def product_entries(layer):
    """Return for each product the entries that it sees."""
    entry = [*layer.entry.tolist(), None]
    return [tuple(sorted({entry[literal] for literal in row} - {None})) for row in layer.products.tolist()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_units_are_the_formula(dtype):
    stream = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)
    units = example_layer(dtype)(stream)
    assert units.dtype == dtype
    assert units.shape == (50, 7)
    for row, found in zip(stream.tolist(), units.tolist(), strict=True):
        a, b, c, d = (1 if row[e] > t else -1 for e, t in ((0, 0.0), (1, -0.5), (1, 0.5), (3, 0.0)))
        wide = [min(1, max(-1, a + b - c - 1)), min(1, max(-1, 0.5 * b + 0.25 * d + 0.125))]
        assert found == [row[2], row[0], a * d, b, c * b, *wide]


def test_units_do_not_depend_on_the_batch():
    layer, stream = example_layer(), torch.randn(20, 4, dtype=torch.float64)
    assert torch.equal(torch.cat([layer(row[None]) for row in stream]), layer(stream))
    assert layer(stream[:0]).shape == (0, 7)


def test_layer_is_rebuilt_from_its_config_and_tensors():
    layer, stream = example_layer(torch.float32), torch.randn(20, 4)
    again = SparseLayer.from_config(**layer.config)
    again.load_state_dict(layer.state_dict())
    assert torch.equal(again(stream), layer(stream))
    assert again.config == layer.config
    assert not list(layer.parameters())


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_pairs_that_make_labels_become_units(loss):
    rng = np.random.default_rng(0)
    stream = rng.choice([-1.0, 1.0], size=(1000, 12))
    targets = np.stack([stream[:, 3] * stream[:, 7], np.minimum(stream[:, 1], -stream[:, 5]), stream[:, 9]], axis=1)
    entries = product_entries(fit(stream, targets, loss=LOSSES[loss]()))
    assert {(3, 7), (1, 5), (9,)} <= set(entries)
    assert len(set(entries)) == len(entries)


def test_units_for_measurements_are_products_of_steps():
    rng = np.random.default_rng(0)
    stream = rng.normal(size=(2000, 6))
    targets = np.where((stream[:, 1] > 0.3) & (stream[:, 4] < 0.5), 1.0, -1.0)[:, None]
    layer = fit(stream, targets)
    hidden = layer(torch.as_tensor(stream)).numpy()
    best = max(abs(np.corrcoef(unit, targets[:, 0])[0, 1]) for unit in hidden.T if unit.std() > 0)
    assert (1, 4) in product_entries(layer)
    design = np.column_stack([np.ones(2000), hidden])
    residual = targets[:, 0] - design @ np.linalg.lstsq(design, targets[:, 0], rcond=None)[0]
    assert 1 - residual.var() / targets.var() > 0.85 > best**2


@pytest.mark.parametrize("seed", range(10))
def test_noise_gets_hardly_any_product(seed):
    rng = np.random.default_rng(seed)
    stream = rng.choice([-1.0, 1.0], size=(500, 20))
    layer = fit(stream, rng.choice([-1.0, 1.0], size=(500, 10)))
    assert len(layer.products) <= 5  # of 190 pairs for each of 10 labels
    assert layer.linear.tolist() == list(range(20))


def test_width_bounds_the_pairs():
    rng = np.random.default_rng(0)
    stream = rng.choice([-1.0, 1.0], size=(1000, 20))
    targets = np.stack([stream[:, i] * stream[:, i + 1] for i in range(10)], axis=1)
    assert len(fit(stream, targets, width=4).products) == 4
    assert len(fit(stream, targets).products) >= 10


def test_the_same_seed_gives_the_same_units():
    rng = np.random.default_rng(0)
    stream, targets = rng.normal(size=(5000, 5)), rng.choice([-1.0, 1.0], size=(5000, 2))
    one, same = fit(stream, targets, seed=3), fit(stream, targets, seed=3)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name])


def test_constant_entries_and_labels_without_pattern_leave_linear_units():
    stream = torch.zeros(30, 3, dtype=torch.float64)
    layer = fit(stream, np.ones((30, 1)))
    assert layer(stream).shape == (30, 3)


@pytest.mark.parametrize("name", ["fan_in", "n_thresholds", "width"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "3"])
def test_unusable_setting_is_named_with_its_value(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, however: {name}={value!r}"):
        SparseFeatures(**{name: value})


def test_labels_of_a_fold_choose_no_units_that_speak_about_it():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.choice([-1.0, 1.0], size=(200, 12)))
    grouping = Grouping.apart([slice(0, 100), slice(100, 200)])

    def estimates(own):
        # The labels of the first fold are one product, those of the second another.
        targets = torch.where(torch.arange(200) < 100, x[:, own] * x[:, own + 1], x[:, 0] * x[:, 1])[:, None]
        network, weights = ResidualNetwork(12, 1), torch.ones_like(targets)
        generator = torch.Generator().manual_seed(0)
        training = Training(network, x, targets, weights, grouping, SquaredLoss(), generator, [])
        (proposal,) = make_proposals(training, torch.arange(1), [SparseFeatures()], "exact", [1e-3])
        return proposal.estimates[:100]

    assert estimates(2).abs().max() > 0.1
    torch.testing.assert_close(estimates(2), estimates(4), rtol=0, atol=1e-8)
