import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.ensemble import GradientBoostingClassifier

from rungwise import RungwiseClassifier
from rungwise.datasets import make_hierarchy
from rungwise.features import FEATURE_MAPS, LAYERS, BoostedFeatures, BoostedLayer, boosting
from rungwise.features.boosting import _Booster, _draw, _Examples
from rungwise.fitting.folds import Grouping
from rungwise.fitting.losses import LogisticLoss, SquaredLoss
from rungwise.fitting.objective import Objective


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def problem(n=120, n_entries=5, n_labels=3, dtype=torch.float64):
    stream = torch.randn(n, n_entries, generator=seeded(0), dtype=dtype)
    noise = torch.randn(n, n_labels, generator=seeded(1), dtype=dtype)
    signs = torch.where(stream[:, :1] + stream[:, 1:2].abs() + 0.3 * noise > 0.5, 1.0, -1.0).to(dtype)
    return stream, signs


def as_units(unit):
    return Grouping([slice(0, len(unit))], torch.as_tensor(unit), torch.as_tensor(unit))


def objective_of(stream, signs, weights, loss):
    weights = torch.ones_like(signs) if weights is None else weights
    return Objective(loss or SquaredLoss(), stream[:, :0], signs, weights, torch.zeros_like(signs))


def boost(features, stream, signs, unit=None, weights=None, loss=None, seed=7):
    grouping = as_units(torch.arange(len(stream)) if unit is None else unit)
    return features.fit_honest(stream, seeded(seed), objective_of(stream, signs, weights, loss), grouping, None)


@pytest.fixture
def boosters(monkeypatch):
    """Return a list that holds every booster that is grown."""
    kept = []

    class Kept(_Booster):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            kept.append(self)

    monkeypatch.setattr(boosting, "_Booster", Kept)
    return kept


def said(booster, stream):
    """Log-odds of rows, tree by tree, leaf by leaf."""
    values = stream.float().numpy()
    log_odds = np.tile(booster.constant, (len(values), 1))
    for tree, step in zip(booster.trees, booster.steps, strict=True):
        for row, leaf in enumerate(tree.apply(values)):
            log_odds[row] += step[leaf]
    return log_odds


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_layer_and_honest_opinions_are_means_of_the_boosters(dtype, boosters):
    stream, signs = problem(dtype=dtype)
    opinions = boost(BoostedFeatures(4, 12), stream, signs)
    fresh = torch.randn(50, 5, generator=seeded(2), dtype=dtype)
    expected = 2 * expit(np.mean([said(booster, fresh) for booster in boosters], axis=0)) - 1
    np.testing.assert_allclose(opinions.layer(fresh), expected, atol=1e-5)
    assert opinions.honest.dtype == dtype
    for row in range(len(stream)):
        honest = [said(one, stream[row : row + 1])[0] for one in boosters if one.count[row] == 0]
        assert len(honest) >= 1
        np.testing.assert_allclose(opinions.honest[row], 2 * expit(np.mean(honest, axis=0)) - 1, atol=1e-6)


def test_steps_are_newton_steps_of_the_logistic_loss(boosters):
    stream, signs = problem(60, n_labels=2)
    weights = torch.rand(60, 1, generator=seeded(3), dtype=torch.float64) + 0.5
    boost(BoostedFeatures(2, 3), stream, signs, weights=weights.expand(-1, 2))
    booster = boosters[0]
    values, positives = stream.float().numpy(), (1 + signs.numpy()) / 2
    log_odds = np.tile(booster.constant, (60, 1))
    for tree, step in zip(booster.trees, booster.steps, strict=True):
        leaf = tree.apply(values)
        probability = expit(log_odds)
        drawn = booster.count * weights[:, 0].numpy()
        for node in np.unique(leaf[drawn > 0]):
            own = (drawn * (leaf == node))[:, None]
            gradient = (own * (positives - probability)).sum(0)
            curvature = (own * probability * (1 - probability)).sum(0)
            np.testing.assert_allclose(step[node], 0.3 * np.clip(gradient / (curvature + 1), -4, 4))
        log_odds = log_odds + step[leaf]


def test_one_booster_on_all_entries_learns_like_scikit_learns():
    # Where they can do the same: one label, no sampling, every entry tried at every split.
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + 0.3 * generator.normal(size=300) > 0).astype(float)
    examples = _Examples(x, y[:, None], np.ones(300), np.ones((300, 1)), np.arange(300))
    booster = _Booster(examples, np.ones(300), 16, np.random.RandomState(0))
    for _ in range(20):
        booster.grow()
    peer = GradientBoostingClassifier(n_estimators=20, learning_rate=0.3, max_leaf_nodes=16, max_depth=None).fit(x, y)
    log_odds = booster.log_odds[:, 0]
    assert np.corrcoef(log_odds, peer.decision_function(x))[0, 1] > 0.95
    assert np.logaddexp(0, -(2 * y - 1) * log_odds).mean() < 0.15


def test_the_own_label_of_a_row_does_not_move_its_opinion():
    stream, signs = problem()
    before = boost(BoostedFeatures(5, 1), stream, signs)
    for row in (0, 17, 119):
        flipped = signs.clone()
        flipped[row] *= -1
        after = boost(BoostedFeatures(5, 1), stream, flipped)
        assert torch.equal(after.honest[row], before.honest[row])
        assert not torch.equal(after.honest, before.honest)


def grouped(unit, content):
    return Grouping([slice(0, len(unit))], torch.as_tensor(unit), torch.as_tensor(content))


def test_labels_of_a_group_do_not_move_opinions_of_its_rows():
    stream, signs = problem()
    group = torch.arange(60).repeat(2)
    # Row 63, of the group of row 3, is a copy of row 10, of another group.
    stream[63] = stream[10]
    content = torch.arange(120)
    content[63] = 10
    objectives = [objective_of(stream, labels, None, None) for labels in (signs, signs.clone())]
    objectives[1].targets[3] *= -1
    features = BoostedFeatures(5, 1)
    one, two = (features.fit_honest(stream, seeded(7), each, grouped(group, content), None) for each in objectives)
    assert torch.equal(one.honest[[3, 63]], two.honest[[3, 63]])
    assert not torch.equal(one.honest, two.honest)


@pytest.mark.parametrize(("n_boosters", "n_units"), [(2, 3), (2, 4), (3, 4), (10, 3), (10, 11)])
def test_few_units_leave_no_booster_empty(n_boosters, n_units):
    for seed in range(200):
        counts = _draw(n_boosters, np.arange(n_units), np.ones(n_units), np.random.RandomState(seed))
        assert (counts > 0).any(1).all()
        if n_boosters > 2:
            assert (counts == 0).any(0).all()


@pytest.mark.parametrize("n_boosters", [2, 3, 10])
def test_every_unit_is_left_out_and_every_booster_draws(n_boosters):
    unit = np.arange(40).repeat(2)
    counts = _draw(n_boosters, unit, np.ones(80), np.random.RandomState(0))
    assert counts.shape == (n_boosters, 80)
    assert (counts == 0).any(0).all()
    assert (counts[:, ::2] == counts[:, 1::2]).all()
    assert (counts > 0).any(1).all()
    # Bootstraps, but for the units that all had drawn.
    assert 0.6 * 40 < counts[:, ::2].sum(1).mean() <= 40


def test_rows_without_weight_are_not_drawn():
    weights = np.ones(30)
    weights[5:] = 0
    counts = _draw(3, np.arange(30), weights, np.random.RandomState(0))
    assert (counts[:, 5:] == 0).all()
    assert (counts[:, :5].sum(1) > 0).all()


def test_boosting_stands_aside_if_there_is_one_unit():
    stream, signs = problem(20)
    assert boost(BoostedFeatures(3, 2), stream, signs, torch.zeros(20, dtype=torch.long)) is None


def test_most_labels_that_nothing_tells_are_left_alone():
    stream, _ = problem()
    draws = [torch.rand(120, 3, generator=seeded(seed)) for seed in range(10)]
    aside = [boost(BoostedFeatures(), stream, torch.where(draw > 0.5, 1.0, -1.0).double()) is None for draw in draws]
    assert sum(aside) >= 7


def test_rounds_end_when_honest_losses_rise(boosters):
    stream, signs = problem()
    noisy = torch.where(torch.rand(signs.shape, generator=seeded(6)) < 0.3, -signs, signs)
    boost(BoostedFeatures(5, 500), stream, noisy)
    assert all(0 < len(booster.trees) < 50 for booster in boosters)


def test_weight_two_is_the_row_twice():
    stream, signs = problem(60)
    weights = torch.ones_like(signs)
    weights[:20] = 2
    twice = torch.cat([torch.arange(60), torch.arange(20)])
    heavy = boost(BoostedFeatures(5, 5), stream, signs, weights=weights)
    copies = boost(BoostedFeatures(5, 5), stream[twice], signs[twice], twice)
    torch.testing.assert_close(copies.honest[:60], heavy.honest, rtol=0, atol=1e-6)
    fresh = torch.randn(50, 5, generator=seeded(2), dtype=torch.float64)
    torch.testing.assert_close(copies.layer(fresh), heavy.layer(fresh), rtol=0, atol=1e-6)


def test_missing_annotations_are_not_read():
    stream, signs = problem()
    weights = torch.ones_like(signs)
    weights[:40, 1] = 0
    other = signs.clone()
    other[:40, 1] *= -1
    one, two = (boost(BoostedFeatures(4, 5), stream, labels, weights=weights) for labels in (signs, other))
    assert torch.equal(one.honest, two.honest)


def test_labels_annotated_in_part_are_learned_from_what_is_there():
    stream, signs = problem(1000)
    annotated = torch.rand(signs.shape, generator=seeded(8)) > 0.6
    some, all_of_them = (
        boost(BoostedFeatures(5, 60), stream, signs, weights=weights) for weights in (annotated.double(), None)
    )
    fresh, truth = problem(4000)
    fresh, truth = fresh[1000:], truth[1000:]
    wrong = [((opinions.layer(fresh) > 0) != (truth > 0)).double().mean() for opinions in (some, all_of_them)]
    assert wrong[0] < wrong[1] + 0.03


def test_constants_and_steps_are_bounded():
    # 40 rows without the label: half an example more has it, and half an example more has it not.
    examples = _Examples(np.zeros((40, 1), np.float32), np.zeros((40, 1)), np.ones(40), np.ones((40, 1)), np.arange(40))
    booster = _Booster(examples, np.ones(40), 16, np.random.RandomState(0))
    np.testing.assert_allclose(booster.constant, np.log(0.5 / 40.5))
    # What was sure and wrong: a Newton step would be far longer than 4.
    booster.log_odds[:] = 20.0
    booster.grow()
    np.testing.assert_allclose(booster.steps[0][0], -0.3 * 4)


def test_many_labels_share_trees():
    stream = torch.randn(300, 4, generator=seeded(0)).double()
    directions = torch.randn(4, 40, generator=seeded(1)).double()
    signs = (stream @ directions).sign()
    opinions = boost(BoostedFeatures(5, 30), stream, signs)
    assert ((opinions.honest > 0) == (signs > 0)).double().mean() > 0.85


def test_large_samples_are_split_on_some_rows(monkeypatch, boosters):
    monkeypatch.setattr(boosting, "_SPLIT_ROWS", 20)
    stream, signs = problem()
    boost(BoostedFeatures(3, 5), stream, signs)
    for booster in boosters:
        assert max(tree.n_node_samples[0] for tree in booster.trees) == 20


def test_importance_is_of_the_entries_that_matter():
    stream, signs = problem(400)
    importance = boost(BoostedFeatures(5, 20), stream, signs).importance(torch.tensor([2, 0]))
    assert importance.shape == (5, 2)
    assert (importance >= 0).all()
    assert (importance[:2].min(0).values > 5 * importance[2:].max(0).values).all()


def test_estimates_suit_the_loss():
    stream, signs = problem()
    clipped, odds = (boost(BoostedFeatures(4, 10), stream, signs, loss=loss()) for loss in (SquaredLoss, LogisticLoss))
    torch.testing.assert_close(torch.tanh(odds.honest / 2), clipped.honest, atol=3e-3, rtol=0)
    assert odds.honest.abs().max() > 1


def test_no_rows_have_no_opinions():
    stream, signs = problem()
    assert boost(BoostedFeatures(3, 2), stream, signs).layer(stream[:0]).shape == (0, 3)


def test_layer_is_built_again_from_its_config():
    stream, signs = problem()
    layer = boost(BoostedFeatures(3, 5), stream, signs).layer
    again = BoostedLayer.from_config(**layer.config)
    again.load_state_dict(layer.state_dict())
    assert torch.equal(again(stream), layer(stream))
    assert LAYERS["boosted"] is BoostedLayer
    assert FEATURE_MAPS["boosted"] is BoostedFeatures


def test_seeds_decide():
    stream, signs = problem()
    one, again, other = (boost(BoostedFeatures(3, 3), stream, signs, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.honest, again.honest)
    assert not torch.equal(one.honest, other.honest)


@pytest.mark.parametrize("parameters", [{"n_boosters": 1}, {"n_rounds": 0}, {"max_leaves": 1}, {"n_rounds": 2.5}])
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=f"{next(iter(parameters))} must be"):
        BoostedFeatures(**parameters)


def test_boosted_blocks_climb():
    X, Y, _ = make_hierarchy(1200, n_inputs=8, n_levels=2, n_labels_per_level=4, random_state=0)
    clf = RungwiseClassifier("boosted", random_state=0).fit(X[:600], Y[:600])
    assert clf.n_blocks_ > 1
    assert (clf.predict(X[600:]) != Y[600:]).mean() < 0.12
