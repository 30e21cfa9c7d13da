import numpy as np
import pandas as pd
import pytest

import rungwise
from rungwise import RungwiseClassifier
from rungwise.datasets import make_hierarchy
from rungwise.effort import EFFORTS, preset
from rungwise.features import TreeFeatures

KINDS = {"low": {"trees", "kernel"}, "medium": {"trees", "kernel", "random", "labels"}}


@pytest.fixture(scope="module")
def data():
    X, Y, _ = make_hierarchy(200, n_inputs=6, n_levels=2, n_labels_per_level=3, random_state=0)
    rng = np.random.default_rng(0)
    return X + rng.normal(scale=0.3, size=X.shape), np.where(rng.random(Y.shape) < 0.1, 1 - Y, Y)


@pytest.fixture(scope="module")
def fitted(data):
    return {effort: RungwiseClassifier(effort=effort, max_depth=2, random_state=0).fit(*data) for effort in EFFORTS}


@pytest.mark.parametrize("effort", EFFORTS)
def test_every_effort_is_better_than_the_commoner_class(effort, fitted, data):
    X, Y = data
    clf = fitted[effort]
    predicted = clf.predict(X)
    assert predicted.shape == Y.shape
    commoner = np.minimum(Y.mean(axis=0), 1 - Y.mean(axis=0)).mean()
    assert (predicted != Y).mean() < commoner
    assert clf.hierarchy_.honest_error.mean() < commoner


@pytest.mark.parametrize("effort", EFFORTS)
def test_history_names_the_kinds_that_an_update_is_made_of(effort, fitted):
    history = fitted[effort].history_
    named = set()
    for text, taken in zip(history["features"], history["taken"], strict=True):
        if not taken:
            continue
        for part in text.split(", "):
            share, name = part.split("% ")
            assert 0 <= int(share) <= 100
            named.add(name)
    assert named
    known = {kind.name for kind in preset(effort, 100, 5)[0]}
    assert named - {"gate", "gates"} <= known


@pytest.mark.parametrize("effort", EFFORTS)
def test_saved_and_loaded_model_predicts_the_same(effort, fitted, data, tmp_path):
    clf, X = fitted[effort], data[0]
    rungwise.save(clf, tmp_path / "model.rungwise")
    loaded = rungwise.load(tmp_path / "model.rungwise")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert loaded.effort == effort
    pd.testing.assert_frame_equal(loaded.history_, clf.history_)


def test_presets_grow():
    names = {effort: [kind.name for kind in preset(effort, 100, 5)[0]] for effort in EFFORTS}
    assert {effort: set(names[effort]) for effort in KINDS} == KINDS
    assert set(names["medium"]) < set(names["high"])
    assert "boosted" in names["high"]
    assert "boosted" not in [kind.name for kind in preset("high", 100, 500)[0]]
    n_trees = [sum(getattr(kind, "n_trees", 0) for kind in preset(effort, 100, 5)[0]) for effort in EFFORTS]
    assert n_trees == sorted(set(n_trees))
    assert preset("low", 100, 5)[1] is None
    assert preset("medium", 100, 5)[1] is not None


def test_kernels_of_few_labels_have_fewer_landmarks_unless_effort_is_high():
    def n_landmarks(effort, n_labels):
        return next(kind.n_landmarks for kind in preset(effort, 5000, n_labels)[0] if kind.name == "kernel")

    assert [n_landmarks("medium", n_labels) for n_labels in (1, 2, 3, 5, 50)] == [800, 800, 1200, 2000, 2000]
    assert [n_landmarks("low", n_labels) for n_labels in (1, 3, 5)] == [400, 600, 1000]
    assert n_landmarks("high", 1) == n_landmarks("high", 50)


@pytest.mark.parametrize(("effort", "expected"), [("low", set()), ("medium", {"random"}), ("high", {"random"})])
def test_forests_of_random_splits_are_balanced_above_low_effort(effort, expected):
    forests = [kind for kind in preset(effort, 100, 5)[0] if kind.name == "trees"]
    assert {forest.splits for forest in forests if forest.balanced} == expected


def test_trees_and_landmarks_suit_the_size_of_the_table():
    def sizes(effort, *size):
        features = preset(effort, *size)[0]
        forest, kernel = (next(kind for kind in features if kind.name == name) for name in ("trees", "kernel"))
        return forest.n_trees, kernel.n_landmarks

    assert sizes("low", 2000, 14) == (40, 500)
    assert sizes("medium", 2000, 14) == (90, 1000)
    assert sizes("medium", 4000, 14) == (90, 1600)
    assert sizes("medium", 2000, 500) == (240, 1500)
    for many in (20, 500):
        assert sizes("low", 25_000, many) == (40, 1000)
        assert sizes("medium", 25_000, many) == (60, 2000)
        assert sizes("high", 25_000, many) == (240, 3000)
        assert sizes("medium", 50_000, many) == (60, 1000)
        assert sizes("medium", 1_000_000, many) == (60, 600)


def test_low_effort_alone_has_few_blocks_unless_asked_for_more():
    # Every label is the parity of the one before and of one more input: a ladder of eight rungs.
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], size=(400, 8))
    Y = (np.cumprod(X, axis=1) > 0).astype(int)
    low = RungwiseClassifier(effort="low", random_state=0)
    assert low.fit(X, Y).n_blocks_ == 2
    assert low.set_params(max_depth=6).fit(X, Y).n_blocks_ > 2
    trees = RungwiseClassifier(TreeFeatures(20), effort="low", random_state=0)
    assert trees.fit(X, Y).n_blocks_ > 3


@pytest.mark.parametrize("effort", ["", "LOW", "maximal", None, 1])
def test_unknown_effort_is_refused(effort):
    X, Y = np.eye(4), np.eye(4)
    with pytest.raises(ValueError, match=r"effort must be one of \['high', 'low', 'medium'\], however: effort="):
        RungwiseClassifier(effort=effort).fit(X, Y)


def test_groups_keep_what_subjects_have_in_common_from_counting():
    # Labels by lot for each subject: nothing is to be learned, except to tell the subjects apart.
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(20), 10)
    X = rng.normal(size=(20, 5))[subject] + 0.1 * rng.normal(size=(200, 5))
    Y = np.array([rng.permutation(20) < 10 for _ in range(4)]).T[subject].astype(int)
    clf = RungwiseClassifier(effort="low", max_depth=3, random_state=0)
    with pytest.warns(UserWarning, match="groups="):
        assert clf.fit(X, Y).hierarchy_.honest_error.mean() < 0.1
    assert clf.fit(X, Y, groups=subject).hierarchy_.honest_error.mean() > 0.35


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_labels_that_nothing_tells_keep_about_their_frequency(loss):
    rng = np.random.default_rng(0)
    chance = np.array([0.03, 0.1, 0.5] * 3)
    X, Y = rng.normal(size=(300, 10)), (rng.random((300, 9)) < chance).astype(int)
    clf = RungwiseClassifier(loss=loss, effort="low", random_state=0).fit(X, Y)
    probability = clf.predict_proba(rng.normal(size=(1000, 10)))
    mean = Y.mean(0)
    divergence = mean * np.log(mean / probability) + (1 - mean) * np.log((1 - mean) / (1 - probability))
    assert divergence.mean(0).max() < 0.02
