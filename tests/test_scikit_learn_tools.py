"""What the fitted estimator says about itself, and how scikit-learn's tools use it."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_predict

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


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
@pytest.mark.parametrize(
    "y", [Y, Y[:, 0], np.array(["a", "b", "c"])[Y[:, :2].sum(axis=1)]], ids=["labels", "binary", "multiclass"]
)
def test_cross_val_predict_gives_what_the_folds_models_give(method, y):
    out = cross_val_predict(
        classifier(), X, y, cv=[(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))], method=method
    )
    first = getattr(classifier().fit(X[:60], y[:60]), method)(X[60:])
    assert out.shape[1:] == first.shape[1:]
    np.testing.assert_array_equal(out[60:], first)


def test_classes_of_a_matrix_of_labels_number_its_columns():
    clf = classifier().fit(X, Y)
    np.testing.assert_array_equal(clf.classes_, np.arange(6))
    assert clf.predict_proba(X).shape == (120, len(clf.classes_))
