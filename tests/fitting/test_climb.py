"""Layerwise fitting with gates: settled labels stay, the network is the true circuit, and the rest goes to features."""

import numpy as np
import pytest
import torch

from rungwise.datasets import make_adder, make_automaton, make_hierarchy, make_multiplier, make_parity
from rungwise.features import RandomFeatures, SparseFeatures, TreeFeatures
from rungwise.fitting.folds import Grouping, assign_folds, find_units, fold_slices
from rungwise.fitting.gate_search import GateSettings
from rungwise.fitting.layerwise import fit_layerwise
from rungwise.fitting.losses import LOSSES, SquaredLoss
from rungwise.neighborhood import Neighborhood

N_FOLDS = 4


def fit(x, targets, weights=None, features=None, loss=None, seed=0, dtype=torch.float32, **options):
    """Return targets and weights, sorted by fold, and what `fit_layerwise` makes of them."""
    fold = assign_folds(find_units(x, seed), N_FOLDS)
    order = np.argsort(fold, kind="stable")
    weights = np.ones(targets.shape) if weights is None else weights
    x, targets, weights = (torch.as_tensor(array[order], dtype=dtype) for array in (x, targets, weights))
    options = {"gates": GateSettings(), "max_depth": 300, "generator": torch.Generator().manual_seed(seed)} | options
    features, loss = features or RandomFeatures(width=32), loss or SquaredLoss()
    return (
        targets,
        weights,
        fit_layerwise(x, targets, weights, Grouping.apart(fold_slices(fold)), [features], loss, **options),
    )


def predict(fitted, x):
    like = next(fitted.network.parameters())
    with torch.no_grad():
        return np.where(fitted.network(torch.as_tensor(x).to(like)).numpy() > 0, 1, -1)


def mixed_labels(seed, n=600):
    """Return labels of a hierarchy, then a noisy sum of many inputs, then noise."""
    X, Y, _ = make_hierarchy(n, n_inputs=12, n_levels=3, n_labels_per_level=4, random_state=seed)
    rng = np.random.default_rng(seed)
    soft = np.where(X @ rng.normal(size=12) + rng.normal(size=n) > 0, 1.0, -1.0)
    return X, np.column_stack([2.0 * Y - 1, soft, rng.choice([-1.0, 1.0], size=n)])


TASKS = {
    "hierarchy": lambda: make_hierarchy(1500, n_inputs=20, n_levels=6, n_labels_per_level=8, random_state=1),
    "parity of 64 bits": lambda: make_parity(1000, n_bits=64, random_state=0),
    "adder": lambda: make_adder(500, n_bits=6, random_state=0),
    "multiplier": lambda: make_multiplier(1000, n_bits=5, random_state=0),
}


@pytest.mark.parametrize("task", TASKS)
def test_network_is_the_true_circuit_on_unseen_rows(task):
    X, Y, model = TASKS[task]()
    *_, fitted = fit(X, 2.0 * Y - 1)
    fresh = np.random.default_rng(9).choice([-1.0, 1.0], size=(3000, X.shape[1]))
    np.testing.assert_array_equal(predict(fitted, fresh), model(fresh))
    assert set(fitted.gates) == set(range(Y.shape[1]))
    # Labels can be simpler than the circuit says, but never deeper.
    level = np.argmax([report.settled.numpy() for report in fitted.reports], axis=0) + 1
    assert (level <= model.level).all()


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("seed", range(2))
def test_honest_loss_never_rises_and_settled_labels_are_left_alone(seed, loss):
    x, targets = mixed_labels(seed)
    features = [RandomFeatures(width=32), SparseFeatures()][seed]
    *_, fitted = fit(x, targets, features=features, loss=LOSSES[loss](), penalties=(float("inf"), 0.1, 0.01))
    settled = torch.zeros(targets.shape[1], dtype=torch.bool)
    for report, block in zip(fitted.reports, fitted.network.blocks, strict=True):
        assert (report.loss_after <= report.loss_before + 1e-6).all()
        assert not report.taken[settled].any()
        assert torch.equal(report.loss_after[~report.taken], report.loss_before[~report.taken])
        assert torch.equal(block.labels, report.taken.nonzero()[:, 0])
        assert torch.equal(block.settle, report.settled[block.labels])
        settled |= report.settled
    assert settled[:12].all()
    assert not settled[12:].any()
    assert set(settled.nonzero()[:, 0].tolist()) == set(fitted.gates)


def test_gates_come_first_and_features_then_see_settled_labels():
    x, targets = mixed_labels(3)
    # A label that is easy for whoever knows the settled ones: the noisy sum of five of the top labels.
    rng = np.random.default_rng(0)
    targets[:, 12] = np.where(targets[:, :12] @ np.linspace(1, 2, 12) + rng.normal(size=600) > 0, 1.0, -1.0)
    *_, fitted = fit(x, targets, features=SparseFeatures())
    kinds = [bool(report.settled.any()) for report in fitted.reports]
    assert kinds == sorted(kinds, reverse=True)
    assert 1 <= sum(kinds) < len(kinds)
    assert fitted.reports[-1].error_after[12] < 0.15


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_training_rows_carry_what_the_network_says_of_them(loss, dtype):
    X, Y, _ = make_hierarchy(500, n_inputs=12, n_levels=3, n_labels_per_level=4, random_state=0)
    flipped = np.random.default_rng(0).random(Y.shape) < 0.04
    targets = np.where(flipped, 1.0 - 2 * Y, 2.0 * Y - 1)
    fold = np.argsort(assign_folds(find_units(X, 0), N_FOLDS), kind="stable")
    sorted_targets, weights, fitted = fit(X, targets, loss=LOSSES[loss](), dtype=dtype)
    assert len(fitted.gates) == 12
    with torch.no_grad():
        said = fitted.network(torch.as_tensor(X[fold]).to(dtype))
    torch.testing.assert_close(fitted.estimates, said, rtol=1e-6, atol=1e-6)
    shares = weights / weights.sum(0)
    expected = (shares * LOSSES[loss]().value(said, sorted_targets)).sum(0)
    torch.testing.assert_close(fitted.reports[-1].loss_after, expected, rtol=1e-4, atol=1e-6)


def test_half_of_the_annotations_and_flipped_labels_still_give_the_circuit():
    X, Y, model = make_hierarchy(3000, n_inputs=15, n_levels=4, n_labels_per_level=6, random_state=0)
    rng = np.random.default_rng(0)
    targets = np.where(rng.random(Y.shape) < 0.03, 1.0 - 2 * Y, 2.0 * Y - 1)
    annotated = rng.random(Y.shape) < 0.5
    *_, fitted = fit(X, np.where(annotated, targets, 0.0), annotated)
    fresh = rng.choice([-1.0, 1.0], size=(2000, 15))
    np.testing.assert_array_equal(predict(fitted, fresh), model(fresh))


def test_max_depth_bounds_the_blocks_of_gates_too():
    X, Y, _ = make_parity(500, n_bits=10, random_state=0)
    *_, fitted = fit(X, 2.0 * Y - 1, max_depth=3)
    assert len(fitted.reports) == len(fitted.network.blocks) == 3
    assert set(fitted.gates) == {0, 1, 2}


def test_without_gates_nothing_is_settled():
    x, targets = mixed_labels(0)
    *_, fitted = fit(x, targets, gates=None, max_depth=4)
    assert fitted.gates == {}
    assert not any(report.settled.any() for report in fitted.reports)


def test_importance_is_large_for_the_parents_and_zero_for_others():
    X, Y, _ = make_hierarchy(1000, n_inputs=15, n_levels=3, n_labels_per_level=6, random_state=2)
    *_, fitted = fit(X, 2.0 * Y - 1)
    for label, gate in fitted.gates.items():
        importance = fitted.importance[:, label]
        parents = sorted(set(gate.entry))
        assert (importance[parents] > 0.1).all()
        assert importance.count_nonzero() == len(parents)


@pytest.mark.parametrize("rule", [110, 90, 30])
def test_what_is_learned_on_one_ring_holds_on_another(rule):
    X, Y, _ = make_automaton(8, rule=rule, n_cells=32, n_steps=6, random_state=0)
    targets = torch.as_tensor(2.0 * Y - 1).flatten(0, 1)
    fitted = fit_layerwise(
        torch.as_tensor(X),
        targets.float(),
        torch.ones_like(targets).float(),
        Grouping.apart([slice(0, 128), slice(128, 256)]),
        [RandomFeatures(width=16)],
        SquaredLoss(),
        gates=GateSettings(),
        neighborhood=Neighborhood.ring(),
        generator=torch.Generator().manual_seed(0),
    )
    X, Y, _ = make_automaton(20, rule=rule, n_cells=57, n_steps=6, random_state=1)
    np.testing.assert_array_equal(predict(fitted, X), 2 * Y - 1)


def test_rare_labels_that_share_an_input_by_accident_are_left_to_the_features():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((300, 40)) < 0.1, 1.0, -1.0)
    rare = X[:, 0] > 0
    rare[np.flatnonzero(rare)[12:]] = False
    X[~rare, 0] = -1.0
    common = np.where(rng.random(300) < 0.5, 1.0, -1.0)
    X = np.column_stack([X, common])
    targets = np.column_stack([np.where(rare, 1.0, -1.0), common])
    *_, fitted = fit(X, targets, features=TreeFeatures(40))
    assert set(fitted.gates) == {1}
