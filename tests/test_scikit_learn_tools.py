"""What the fitted estimator says about itself, and how scikit-learn's tools use it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score

from rungwise import RandomFeatures, RungwiseClassifier
from rungwise.datasets import make_hierarchy
from rungwise.model_selection import MaskedScorer

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


@pytest.mark.parametrize("weight", [None, np.arange(60) % 3])
@pytest.mark.parametrize(
    "y", [Y, 2 * Y - 1, Y[:, :1], Y[:, 0], np.array(["a", "b", "c"])[Y[:, :2].sum(axis=1)]], ids=lambda y: str(y.shape)
)
def test_score_is_scikit_learns_where_no_label_is_missing(y, weight):
    clf = classifier().fit(X[:60], y[:60])
    expected = accuracy_score(y[60:], clf.predict(X[60:]), sample_weight=weight)
    assert 0 < clf.score(X[60:], y[60:], weight) == pytest.approx(expected)


@pytest.mark.parametrize("frame", [np.asarray, pd.DataFrame])
@pytest.mark.parametrize("weight", [None, np.arange(60.0) % 3])
def test_score_counts_rows_whose_annotated_labels_are_right(frame, weight):
    clf = classifier().fit(X[:60], Y[:60])
    holes = np.where(np.random.default_rng(0).random((60, 6)) < 0.5, Y[60:], np.nan)
    holes[:5] = np.nan
    predicted = clf.predict(X[60:])
    right, weights = [], []
    for row in range(5, 60):
        annotated = ~np.isnan(holes[row])
        if annotated.any():
            right.append((predicted[row] == holes[row])[annotated].all())
            weights.append(1 if weight is None else weight[row])
    score = clf.score(X[60:], frame(holes), weight)
    assert score == pytest.approx(np.average(right, weights=weights))
    assert score == MaskedScorer("exact_match")(clf, X[60:], holes, weight)
    assert accuracy_score(Y[60:], predicted) < score < 1


def test_score_serves_cross_validation_of_labels_annotated_in_part():
    holes = np.where(np.random.default_rng(0).random(Y.shape) < 0.2, np.nan, Y)
    assert (cross_val_score(classifier(), X, holes, cv=KFold(3)) > 0).all()


def test_score_of_labels_without_annotation_is_refused():
    clf = classifier().fit(X, Y)
    with pytest.raises(ValueError, match="exact_match needs an annotated label"):
        clf.score(X, np.full(Y.shape, np.nan))
    with pytest.raises(NotFittedError):
        classifier().score(X, Y)
