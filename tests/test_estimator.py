"""What the fitted estimator says about itself, and how scikit-learn's tools use it."""

import numpy as np

from rungwise import RandomFeatures, RungwiseClassifier
from rungwise.datasets import make_hierarchy

X, Y, _ = make_hierarchy(120, n_inputs=6, n_levels=2, n_labels_per_level=3, random_state=0)


def classifier(**parameters):
    return RungwiseClassifier(**{"features": RandomFeatures(width=16), "max_depth": 2, "random_state": 0, **parameters})


def test_honest_error_of_a_model_without_blocks_is_that_of_the_frequency():
    noise = np.random.default_rng(0).random((120, 2)) < [0.5, 0.5]
    clf = classifier(tolerance=0.9).fit(X, noise)
    assert clf.n_blocks_ == 0
    wrong = (clf.predict(X) != noise).mean(axis=0)
    np.testing.assert_allclose(clf.hierarchy_.honest_error, wrong, atol=0.1)
    assert (clf.hierarchy_.honest_error > 0.3).all()
