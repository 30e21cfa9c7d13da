"""With ``coherent=True`` no prediction violates an implication that holds in the training labels."""

import numpy as np
import pandas as pd
import pytest

import rungwise
from rungwise import Neighborhood, RandomFeatures, RungwiseClassifier


def make_tree(n_rows, seed=0):
    """Return noisy rows, the labels of a tree of ten, and the pairs of each label and its ancestors."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 8))
    parents = [None, 0, 0, 1, 1, 2, None, 6, 7, 8]
    directions = np.random.default_rng(99).normal(size=(8, 10))
    Y = X @ directions + 3 * rng.normal(size=(n_rows, 10)) > -1
    ancestors = [[] for _ in parents]
    for j, parent in enumerate(parents):
        if parent is not None:
            Y[:, j] &= Y[:, parent]
            ancestors[j] = [parent, *ancestors[parent]]
    return X, Y.astype(int), {(j, above) for j in range(10) for above in ancestors[j]}


def classifier(**parameters):
    return RungwiseClassifier(RandomFeatures(width=64), **{"max_depth": 2, "random_state": 0, **parameters})


def violations(values, pairs):
    return sum(int((values[..., child] > values[..., parent]).sum()) for child, parent in pairs)


@pytest.fixture(scope="module")
def tree():
    X, Y, pairs = make_tree(600)
    return classifier(coherent=True).fit(X, Y), classifier().fit(X, Y), pairs


def test_implications_are_those_of_the_tree(tree):
    coherent, plain, pairs = tree
    assert set(coherent.implications_) == {(f"label_{child}", f"label_{parent}") for child, parent in pairs}
    assert len(coherent.implications_) == len(pairs)
    assert plain.implications_ == []


@pytest.mark.parametrize("answer", ["decision_function", "predict_proba", "predict"])
@pytest.mark.parametrize("n_rows", [1, 7, 500])
def test_answers_never_violate_them(answer, n_rows, tree):
    coherent, plain, pairs = tree
    fresh = 10 * make_tree(n_rows, seed=1)[0]
    assert violations(getattr(coherent, answer)(fresh), pairs) == 0
    if n_rows == 500:
        # A set of labels that training has seen violates nothing, so that plain predictions hardly do.
        assert violations(getattr(plain, answer)(fresh), pairs) > 0 or answer == "predict"


def test_labels_without_implications_and_coherent_rows_are_answered_as_before(tree):
    coherent, plain, pairs = tree
    fresh = make_tree(500, seed=1)[0]
    before, after = plain.decision_function(fresh), coherent.decision_function(fresh)
    child, parent = np.array(sorted(pairs)).T
    kept = (before[:, child] <= before[:, parent]).all(axis=1)
    assert 0 < kept.sum() < 500
    np.testing.assert_array_equal(after[kept], before[kept])


def test_saved_model_stays_coherent(tree, tmp_path):
    coherent = tree[0]
    rungwise.save(coherent, tmp_path / "m")
    loaded = rungwise.load(tmp_path / "m")
    fresh = make_tree(100, seed=1)[0]
    np.testing.assert_array_equal(loaded.predict_proba(fresh), coherent.predict_proba(fresh))
    assert loaded.coherent is True
    assert loaded.implications_ == coherent.implications_


def test_names_of_a_frame_and_missing_annotations():
    X, Y, pairs = make_tree(1500)
    names = [f"finding {j}" for j in range(10)]
    Y = np.where(np.random.default_rng(5).random(Y.shape) < 0.3, np.nan, Y)
    clf = classifier(coherent=True).fit(X, pd.DataFrame(Y, columns=names))
    assert set(clf.implications_) == {(names[child], names[parent]) for child, parent in pairs}
    assert violations(clf.predict_proba(X), pairs) == 0


def test_row_of_weight_two_is_the_row_twice():
    X, Y, _ = make_tree(60)
    times = np.random.default_rng(0).integers(1, 4, size=60)
    weighted = classifier(coherent=True).fit(X, Y, sample_weight=times)
    repeated = classifier(coherent=True).fit(np.repeat(X, times, axis=0), np.repeat(Y, times, axis=0))
    assert weighted.implications_ == repeated.implications_
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("classes", [["no", "yes"], ["a", "b", "c"]])
def test_one_column_of_classes_has_nothing_to_keep(classes):
    X = make_tree(120)[0]
    y = np.array(classes)[np.arange(120) % len(classes)]
    coherent, plain = classifier(coherent=True).fit(X, y), classifier().fit(X, y)
    assert coherent.implications_ == []
    np.testing.assert_array_equal(coherent.predict_proba(X), plain.predict_proba(X))


def test_at_positions():
    X, Y, pairs = make_tree(1200)
    X, Y = X.reshape(200, 6, 8), Y.reshape(200, 6, 10)
    clf = classifier(coherent=True, neighborhood=Neighborhood.ring()).fit(X, Y)
    found = {(clf.label_names_.index(child), clf.label_names_.index(parent)) for child, parent in clf.implications_}
    assert len(found) > 5
    assert found <= pairs
    fresh = make_tree(400, seed=1)[0].reshape(50, 8, 8)
    assert clf.predict_proba(fresh).shape == (50, 8, 10)
    assert violations(clf.predict_proba(fresh), found) == 0
