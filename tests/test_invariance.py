"""Fits that must not differ: other scales of the weights, rows that are given twice, and so on."""

import numpy as np
import pytest

from rungwise import RandomFeatures, RungwiseClassifier
from rungwise.datasets import make_hierarchy

X, Y, _ = make_hierarchy(300, n_inputs=8, n_levels=3, n_labels_per_level=3, random_state=0)


@pytest.mark.parametrize("features", ["auto", RandomFeatures(width=64)], ids=["auto", "random"])
@pytest.mark.parametrize("scale", [1 / 300, 1000.0])
def test_scale_of_weights_does_not_matter(features, scale):
    clf = RungwiseClassifier(features, max_depth=4, random_state=0)
    expected = clf.fit(X, Y, sample_weight=np.ones(300)).predict_proba(X)
    np.testing.assert_allclose(clf.fit(X, Y, sample_weight=np.full(300, scale)).predict_proba(X), expected, atol=1e-6)


def test_weight_two_is_the_row_twice():
    n_times = np.where(np.arange(300) % 3 == 0, 2, 1)
    clf = RungwiseClassifier(RandomFeatures(width=64), max_depth=5, random_state=0)
    one = clf.fit(X, Y, sample_weight=n_times)
    expected, n_blocks, history = one.predict_proba(X), one.n_blocks_, one.history_
    twice = clf.fit(X.repeat(n_times, axis=0), Y.repeat(n_times, axis=0))
    assert twice.n_blocks_ == n_blocks >= 3
    np.testing.assert_allclose(twice.predict_proba(X), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(twice.history_["loss_after"], history["loss_after"], rtol=0, atol=1e-6)


def test_solvers_draw_the_same_layers():
    layers = {}
    for solver in ("exact", "sgd"):
        clf = RungwiseClassifier(
            RandomFeatures(width=64), max_depth=3, solver=solver, penalty=0.001, random_state=0
        ).fit(X, Y)
        layers[solver] = [block.features.weight for block in clf.network_.blocks]
    assert len(layers["exact"]) == len(layers["sgd"]) > 1
    for exact, sgd in zip(layers["exact"], layers["sgd"], strict=True):
        np.testing.assert_array_equal(exact, sgd)


@pytest.mark.parametrize(
    ("loss", "penalty"),
    [("squared", "auto"), ("squared_hinge", 1e-2), ("logistic", 1e-3)],
    ids=lambda value: str(value),
)
def test_solvers_agree(loss, penalty):
    given = {"loss": loss, "penalty": penalty, "max_depth": 3, "random_state": 0}
    exact, sgd = (
        RungwiseClassifier(RandomFeatures(width=64), solver=solver, **given).fit(X, Y) for solver in ("exact", "sgd")
    )
    assert (exact.predict(X) != sgd.predict(X)).mean() < 0.002
    np.testing.assert_allclose(sgd.history_["loss_after"], exact.history_["loss_after"], rtol=1e-3, atol=1e-4)
