import numpy as np
import pytest
import torch

from rungwise import RungwiseClassifier
from rungwise.fitting.label_sets import LabelSets, find_label_sets


def found(labels, log_odds, unit=None, weights=None):
    n = len(labels)
    unit = torch.arange(n) if unit is None else torch.as_tensor(unit)
    weights = torch.ones(labels.shape) if weights is None else torch.as_tensor(weights)
    targets = torch.as_tensor(2.0 * labels - 1)
    return find_label_sets(torch.as_tensor(log_odds).expand(labels.shape), targets, weights, unit)


def one_of(n, n_labels, seed=0):
    return np.eye(n_labels, dtype=int)[np.random.default_rng(seed).integers(0, n_labels, n)]


def test_the_likeliest_set_is_that_of_brute_force():
    rng = np.random.default_rng(0)
    sets = np.unique(rng.random((6, 4)) > 0.5, axis=0)
    log_odds = rng.normal(size=(500, 4)) * 2
    surplus = rng.uniform(0, 2, len(sets))
    label_sets = LabelSets(sets, surplus)
    every = np.array(np.meshgrid(*[[False, True]] * 4)).reshape(4, -1).T
    probability = 1 / (1 + np.exp(-log_odds))
    product = np.where(every, probability[:, None], 1 - probability[:, None]).prod(2)
    expected = every[(product * np.exp((every[:, None] == sets).all(2) @ surplus)).argmax(1)]
    np.testing.assert_array_equal(label_sets.decode(log_odds), expected)
    assert (label_sets.decode(log_odds) != (log_odds > 0)).any()


def test_surplus_is_what_was_seen_over_what_the_product_gives():
    # Three labels of which one is present, to which the product, of probability 1/3 each, gives 4/9.
    labels = np.eye(3, dtype=int)[np.repeat([0, 1, 2], [150, 100, 50])]
    label_sets = found(labels, np.log(0.5))
    n_product = 300 * 4 / 9
    ratio = 301 / (n_product + 1)
    common = np.log(ratio * (300 - n_product + 1) / 1)
    own = np.log((np.array([50, 100, 150]) / ratio + 10) / (n_product / 3 + 10))
    np.testing.assert_array_equal(label_sets.sets, np.eye(3, dtype=bool)[::-1])
    np.testing.assert_allclose(label_sets.surplus, common + own / 2)
    np.testing.assert_array_equal(
        label_sets.decode(np.array([[-1.0, -0.9, -2.0], [-0.8, -0.7, -0.6], [1.0, 0.5, -2.0]])),
        [[True, False, False]] * 3,
    )


def test_sets_compete_where_all_were_seen():
    # The product gives all four sets the same share, yet both labels are hardly ever present together.
    labels = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [60, 100, 100, 1], axis=0)
    label_sets = found(labels, 0.0)
    assert len(label_sets.sets) == 4
    assert label_sets.surplus[3] < label_sets.surplus[0] < label_sets.surplus[1] == label_sets.surplus[2]
    np.testing.assert_array_equal(
        label_sets.decode(np.array([[0.3, 0.4], [4.0, 4.0], [-2.0, -2.0]])),
        [[False, True], [True, True], [False, False]],
    )


def test_labels_whose_sets_do_not_repeat_are_predicted_one_by_one():
    rng = np.random.default_rng(0)
    label_sets = found(rng.integers(0, 2, (200, 30)), 0.0)
    assert not len(label_sets.sets)
    log_odds = rng.normal(size=(50, 30))
    np.testing.assert_array_equal(label_sets.decode(log_odds), log_odds > 0)


def test_rows_with_gaps_tell_nothing_and_copies_count_once():
    labels = one_of(60, 3)
    gaps = np.vstack([labels, 1 - labels])
    weights = np.ones((120, 3))
    weights[60:, 0] = 0
    whole = found(labels, -0.5)
    with_gaps = found(gaps, -0.5, weights=weights)
    np.testing.assert_array_equal(with_gaps.sets, whole.sets)
    assert with_gaps.surplus == pytest.approx(whole.surplus)
    twice = found(np.vstack([labels, labels]), -0.5, unit=np.tile(np.arange(60), 2))
    assert twice.surplus == pytest.approx(whole.surplus)
    assert not len(found(labels, -0.5, weights=np.zeros((60, 3))).sets)


def test_a_classifier_predicts_one_of_classes_that_exclude_each_other():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 4)).astype(np.float32)
    classes = (X @ rng.standard_normal((4, 5)) + rng.standard_normal((400, 5))).argmax(1)
    Y = np.eye(5, dtype=int)[classes]
    clf = RungwiseClassifier(effort="low", random_state=0).fit(X[:300], Y[:300])
    predicted, one_by_one = clf.predict(X[300:]), clf.predict_proba(X[300:]) > 0.5
    assert (predicted.sum(1) == 1).all()
    assert (one_by_one.sum(1) != 1).any()
    assert (predicted == Y[300:]).all(1).mean() > (one_by_one == Y[300:]).all(1).mean()
