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
