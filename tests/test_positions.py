"""The estimator on rings, lines and grids: X (n_samples, n_positions, n_features), and the same blocks everywhere."""

import numpy as np
import pytest

import rungwise
from rungwise import Neighborhood, RandomFeatures, RungwiseClassifier
from rungwise.datasets import make_automaton


def classifier(neighborhood, features="auto", **parameters):
    return RungwiseClassifier(features, neighborhood=neighborhood, **{"max_depth": 30, "random_state": 0, **parameters})


def random_bits(*shape, seed=0):
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=shape)


@pytest.fixture(scope="module")
def automaton():
    X, Y, level = make_automaton(10, rule=110, n_cells=32, n_steps=10, random_state=0)
    return X, Y, level, classifier(Neighborhood.ring()).fit(X, Y)


@pytest.mark.parametrize("n_cells", [5, 32, 64])
def test_automaton_is_exact_on_rings_of_other_lengths(n_cells, automaton):
    X, Y, _ = make_automaton(20, rule=110, n_cells=n_cells, n_steps=10, random_state=1)
    clf = automaton[-1]
    np.testing.assert_array_equal(clf.predict(X), Y)
    assert clf.predict_proba(X).shape == clf.decision_function(X).shape == (20, n_cells, 10)


def test_levels_and_parents_are_those_of_the_automaton(automaton):
    _, _, level, clf = automaton
    hierarchy = clf.hierarchy_
    assert hierarchy.level.tolist() == level.tolist()
    assert hierarchy.parents(0) == ["x0"]
    for step in range(1, 10):
        assert hierarchy.parents(step) == [f"label_{step - 1}"]
        expected = {f"label_{step - 1}{place}" for place in ("[-1]", "", "[+1]")}
        assert set(hierarchy.formula(step).literals) == expected


def test_turned_ring_gives_turned_answers(automaton):
    X, *_, clf = automaton
    np.testing.assert_array_equal(clf.predict(np.roll(X, 5, axis=1)), np.roll(clf.predict(X), 5, axis=1))


def test_saved_automaton_answers_as_before(automaton, tmp_path):
    *_, clf = automaton
    rungwise.save(clf, tmp_path / "m")
    loaded = rungwise.load(tmp_path / "m")
    X, Y, _ = make_automaton(5, rule=110, n_cells=40, n_steps=10, random_state=2)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), Y)
    assert loaded.neighborhood == clf.neighborhood
    assert str(loaded.hierarchy_) == str(clf.hierarchy_)


def parity_of_neighbours(X):
    """Return the exclusive or of both neighbours; one that is not there counts as false."""
    true = np.pad(X[:, :, 0] > 0, ((0, 0), (1, 1)))
    return true[:, :-2] ^ true[:, 2:]


def test_line_with_ends():
    X, fresh = random_bits(60, 12, 2), random_bits(100, 31, 2, seed=1)
    clf = classifier(Neighborhood.line()).fit(X, parity_of_neighbours(X)[:, :, None])
    np.testing.assert_array_equal(clf.predict(fresh)[:, :, 0], parity_of_neighbours(fresh))


def majority_around(X, width):
    """Return the majority of a cell and its four neighbours; those that are not there count as false."""
    cells = np.pad(X[:, :, 0].reshape(len(X), -1, width) > 0, ((0, 0), (1, 1), (1, 1))).astype(int)
    total = cells[:, 1:-1, 1:-1] + cells[:, :-2, 1:-1] + cells[:, 2:, 1:-1] + cells[:, 1:-1, :-2] + cells[:, 1:-1, 2:]
    return (total >= 3).reshape(len(X), -1)


def test_grid_with_edges():
    X, fresh = random_bits(60, 6 * 7, 1), random_bits(50, 9 * 7, 1, seed=1)
    clf = classifier(Neighborhood.grid(7)).fit(X, majority_around(X, 7)[:, :, None])
    np.testing.assert_array_equal(clf.predict(fresh)[:, :, 0], majority_around(fresh, 7))


def test_map_of_any_kind():
    table = np.random.default_rng(0).integers(0, 9, size=(9, 3))
    X, fresh = random_bits(80, 9, 1), random_bits(60, 9, 1, seed=1)

    def truth(X):
        return np.sign(X[:, table, 0].sum(axis=2))[:, :, None]

    clf = classifier(Neighborhood.from_index(table)).fit(X, truth(X))
    np.testing.assert_array_equal(clf.predict(fresh), truth(fresh))


def test_labels_of_neighbours_are_seen():
    # The second label is the parity of the first one on both sides.
    X, fresh = random_bits(40, 16, 2), random_bits(50, 21, 2, seed=1)

    def truth(X):
        first = X.max(axis=2)
        return np.stack([-np.roll(first, 1, axis=1) * np.roll(first, -1, axis=1), first], axis=2)

    clf = classifier(Neighborhood.ring((-1, 0, 1))).fit(X, truth(X))
    np.testing.assert_array_equal(clf.predict(fresh), truth(fresh))
    assert clf.hierarchy_.level.tolist() == [2, 1]


@pytest.mark.parametrize("features", ["sparse", RandomFeatures(width=256)])
def test_labels_that_no_gate_explains_are_left_to_features(features):
    rng = np.random.default_rng(0)
    X = random_bits(60, 10, 2)
    score = X[:, :, 0] + 0.7 * np.roll(X[:, :, 1], 1, axis=1) - 0.5 * np.roll(X[:, :, 0], -1, axis=1)
    Y = (score + 0.5 * rng.normal(size=score.shape) > 0)[:, :, None]
    clf = classifier(Neighborhood.ring(), features, max_depth=3).fit(X, Y)
    assert (clf.predict(X) == Y).mean() > 0.85


def test_missing_annotations_and_features_at_some_positions():
    X, Y, _ = make_automaton(20, rule=90, n_cells=16, n_steps=3, random_state=0)
    holes = np.where(np.random.default_rng(0).random(Y.shape) < 0.3, np.nan, Y)
    clf = classifier(Neighborhood.ring()).fit(X, holes)
    np.testing.assert_array_equal(clf.predict(X), Y)
    missing = X.copy()
    missing[0, 3] = np.nan
    assert np.isfinite(clf.predict_proba(missing)).all()


def test_subjects_with_several_examples_raise_a_warning():
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(50), 5)
    X = rng.normal(size=(50, 6, 2))[subject] + 0.05 * rng.normal(size=(250, 6, 2))
    Y = rng.integers(0, 2, size=(50, 6, 1))[subject]
    clf = classifier(Neighborhood.ring(), RandomFeatures(width=16), max_depth=1)
    with pytest.warns(UserWarning, match="groups="):
        clf.fit(X, Y)
    clf.fit(X, Y, groups=subject)


def test_weights_for_examples_labels_and_positions():
    X, Y, _ = make_automaton(20, rule=90, n_cells=10, n_steps=2, random_state=0)
    expected = classifier(Neighborhood.ring()).fit(X[:15], Y[:15]).predict_proba(X)
    wrong = np.concatenate([Y[:15], 1 - Y[15:]])
    by_example = (np.arange(20) < 15).astype(float)
    by_label = np.repeat(by_example[:, None], 2, axis=1)
    everywhere = np.broadcast_to(by_example[:, None, None], Y.shape)
    for weight in (by_example, by_label, everywhere, by_example.tolist()):
        clf = classifier(Neighborhood.ring()).fit(X, wrong, sample_weight=weight)
        np.testing.assert_allclose(clf.predict_proba(X), expected)


def test_weight_of_one_label_is_for_all_positions():
    X, Y, _ = make_automaton(20, rule=90, n_cells=10, n_steps=2, random_state=0)
    weight = np.ones((20, 2))
    weight[::4, 0] = 0
    annotated = np.where(weight[:, None] > 0, Y, np.nan)
    one = classifier(Neighborhood.ring()).fit(X, Y, sample_weight=weight)
    other = classifier(Neighborhood.ring()).fit(X, annotated)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X))


def test_groups_are_given_for_examples():
    X, Y, _ = make_automaton(8, rule=90, n_cells=10, n_steps=2, random_state=0)
    clf = classifier(Neighborhood.ring()).fit(X, Y, groups=list("aabbccdd"))
    np.testing.assert_array_equal(clf.predict(X), Y)


@pytest.mark.parametrize(
    "weight", [np.ones(5), np.ones((5, 2)), np.ones((20, 9, 2)), np.ones((20, 10, 3)), np.ones(200)]
)
def test_weights_of_another_shape_are_refused(weight):
    X, Y, _ = make_automaton(20, rule=90, n_cells=10, n_steps=2, random_state=0)
    with pytest.raises(ValueError, match=r"however: (shape )?\("):
        classifier(Neighborhood.ring()).fit(X, Y, sample_weight=weight)


def test_order_of_examples_does_not_matter():
    X, Y, _ = make_automaton(20, rule=30, n_cells=10, n_steps=3, random_state=0)
    order = np.random.default_rng(0).permutation(20)
    one, other = (classifier(Neighborhood.ring()).fit(X[i], Y[i]).predict_proba(X) for i in (slice(None), order))
    np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ((20, 10), (20, 10, 2), r"X must have shape \(n_samples, n_positions, n_features\).*\(20, 10\)"),
        ((20, 0, 1), (20, 0, 2), r"none of them 0.*\(20, 0, 1\)"),
        ((20, 10, 1), (20, 10), r"Y must have shape \(n_samples, n_positions=10, n_labels\), however: \(20, 10\)"),
        ((20, 10, 1), (20, 9, 2), r"n_positions=10.*however: \(20, 9, 2\)"),
        ((20, 10, 1), (19, 10, 2), "inconsistent numbers of samples"),
        ((1, 10, 1), (1, 10, 2), "at least 2 examples.*n_samples=1"),
    ],
)
def test_wrong_shapes_are_explained(x, y, message):
    with pytest.raises(ValueError, match=message):
        classifier(Neighborhood.ring()).fit(random_bits(*x), random_bits(*y))


def test_grid_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="whole rows of 4 positions, however: 10 positions"):
        classifier(Neighborhood.grid(4)).fit(random_bits(20, 10, 1), random_bits(20, 10, 1))


def test_wrong_shapes_at_predict_are_explained(automaton):
    *_, clf = automaton
    with pytest.raises(ValueError, match=r"X must have shape \(n_samples, n_positions, n_features\)"):
        clf.predict(random_bits(5, 32))
    with pytest.raises(ValueError, match="X has 2 features, but RungwiseClassifier is expecting 1"):
        clf.predict(random_bits(5, 32, 2))


@pytest.mark.parametrize("neighborhood", ["ring", (-1, 0, 1), Neighborhood])
def test_other_neighborhoods_are_refused(neighborhood):
    with pytest.raises(ValueError, match="neighborhood must be None or a Neighborhood, however"):
        classifier(neighborhood).fit(random_bits(20, 10, 1), random_bits(20, 10, 1))
