"""Shuffle importance: the closed form for linear readouts, parents first, and nothing for entries that are not used."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from rungwise.features import RandomFeatures, SparseFeatures
from rungwise.fitting.attribution import sampled_loss, shuffle_importance
from rungwise.fitting.losses import SquaredLoss
from rungwise.fitting.objective import Objective
from rungwise.fitting.readout import fit_readout


def importance_of(stream, targets, features=None, labels=None, weights=None, n_folds=4, seed=0):
    stream, targets = torch.as_tensor(stream), torch.as_tensor(targets)
    weights = torch.ones_like(targets) if weights is None else torch.as_tensor(weights)
    ends = np.linspace(0, len(stream), n_folds + 1).astype(int).tolist()
    folds = [slice(start, stop) for start, stop in pairwise(ends)]
    generator = torch.Generator().manual_seed(seed)
    before = torch.zeros_like(targets)
    objective = Objective(SquaredLoss(), stream[:, :0], targets, weights, before)
    layer = torch.nn.Identity() if features is None else features.fit(stream, generator, objective)
    objective = Objective(SquaredLoss(), layer(stream), targets, weights, before)
    readout = fit_readout(objective, folds)
    labels = torch.arange(targets.shape[1]) if labels is None else torch.tensor(labels)
    loss = sampled_loss(SquaredLoss().value, before[:, labels], targets[:, labels], weights[:, labels])
    found = shuffle_importance(layer, stream, readout, labels, loss, folds, generator)
    return found.numpy(), readout


def bits(n, d, seed=0):
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(n, d))


@pytest.mark.parametrize("n", [900, 4000])
def test_importance_for_a_linear_readout_is_the_squared_weight_times_the_variance(n):
    rng = np.random.default_rng(0)
    stream = rng.normal(size=(n, 6)) * [1, 2, 3, 1, 1, 1]
    weight = np.array([1.0, -1.0, 0.5, 0.3, 0.0, 0.0])
    targets = np.where(stream @ weight + rng.normal(size=n) > 0, 1.0, -1.0)[:, None]
    found, readout = importance_of(stream, targets)
    # E (w z' - w z)² / 2 for independent z, z'.
    expected = readout.weight.numpy()[:, 0] ** 2 * stream.var(axis=0)
    np.testing.assert_allclose(found[:, 0], expected, atol=0.04)
    assert (np.abs(found[4:]) < 0.01).all()


@pytest.mark.parametrize("features", [RandomFeatures(width=512), SparseFeatures()])
@pytest.mark.parametrize("seed", range(3))
def test_parents_come_first_and_others_have_about_none(features, seed):
    x = bits(1500, 8, seed)
    parents = [{0, 1}, {2, 3, 4}, {5, 6}]
    targets = np.stack([x[:, 0] * x[:, 1], np.sign(x[:, 2:5].sum(1)), np.minimum(x[:, 5], x[:, 6])], axis=1)
    found, _ = importance_of(x, targets, features, seed=seed)
    for label, own in enumerate(parents):
        ranked = np.argsort(-found[:, label])
        assert set(ranked[: len(own)].tolist()) == own
        others = [entry for entry in range(8) if entry not in own]
        assert (found[sorted(own), label] > 0.1).all()
        assert (np.abs(found[others, label]) < 0.02).all()


def test_noise_label_has_no_important_entry():
    x = bits(1000, 6)
    found, _ = importance_of(x, bits(1000, 2, 1), SparseFeatures())
    assert (np.abs(found) < 0.02).all()


def test_only_the_labels_asked_for_are_answered():
    x = bits(800, 5)
    targets = np.stack([x[:, 0], x[:, 1], x[:, 2]], axis=1)
    found, _ = importance_of(x, targets, labels=[2, 0])
    assert found.shape == (5, 2)
    assert found.argmax(axis=0).tolist() == [2, 0]


def test_rows_without_weight_do_not_count():
    x = bits(1600, 4)
    first = np.arange(1600) % 2 == 0
    targets = np.where(first, x[:, 0], x[:, 1])[:, None]
    found, _ = importance_of(x, targets, weights=first[:, None].astype(float))
    assert found[0, 0] > 0.9
    assert (np.abs(found[1:, 0]) < 0.02).all()


def test_the_stream_is_left_as_it_was():
    x = torch.as_tensor(bits(200, 3))
    before = x.clone()
    importance_of(x, x[:, :1])
    assert torch.equal(x, before)
