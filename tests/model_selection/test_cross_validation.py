"""Labels annotated only in part, through scikit-learn's own tools."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score, cross_validate

from rungwise import RandomFeatures, RungwiseClassifier
from rungwise.datasets import make_hierarchy
from rungwise.model_selection import METRICS, MaskedScorer, MultilabelStratifiedKFold

X, complete, _ = make_hierarchy(150, n_inputs=6, n_levels=2, n_labels_per_level=3, random_state=0)
Y = np.where(np.random.default_rng(0).random(complete.shape) < 0.3, np.nan, complete)
Y[:5] = np.nan
CV = MultilabelStratifiedKFold(3)


def classifier(**parameters):
    return RungwiseClassifier(**{"features": RandomFeatures(width=16), "max_depth": 2, "random_state": 0, **parameters})


@pytest.mark.parametrize("name", METRICS)
def test_cross_val_score_is_what_the_folds_models_score(name):
    scores = cross_val_score(classifier(), X, Y, cv=CV, scoring=MaskedScorer(name))
    expected = [MaskedScorer(name)(classifier().fit(X[a], Y[a]), X[b], Y[b]) for a, b in CV.split(X, Y)]
    np.testing.assert_array_equal(scores, expected)


@pytest.mark.parametrize("cv", [CV, KFold(3)])
def test_cross_validate_takes_several_scorers_and_nullable_frames(cv):
    frame = pd.DataFrame(Y, columns=list("abcdef")).astype("Int8")
    found = cross_validate(classifier(), X, frame, cv=cv, scoring={name: MaskedScorer(name) for name in METRICS})
    for name in METRICS:
        np.testing.assert_array_equal(
            found[f"test_{name}"], cross_val_score(classifier(), X, Y, cv=cv, scoring=MaskedScorer(name))
        )


def test_two_labels_are_scored_as_two():
    # scikit-learn's own scorers take the classes 0 and 1 of two columns for those of one binary label.
    scores = cross_val_score(
        classifier(), X, Y[:, :2], cv=CV, scoring=MaskedScorer("neg_log_loss"), error_score="raise"
    )
    assert (scores < 0).all()


def test_grid_search_chooses_by_annotated_labels():
    grid = {"max_depth": [1, 2], "tolerance": [0.01, 0.99]}
    search = GridSearchCV(classifier(), grid, cv=CV, scoring=MaskedScorer("average_precision_micro")).fit(X, Y)
    assert search.best_params_["tolerance"] == 0.01
    assert search.predict(X).shape == Y.shape
    assert MaskedScorer("entry_accuracy")(search, X, Y) > 0.7


def test_out_of_fold_predictions_exist_for_rows_without_annotation():
    predicted = cross_val_predict(classifier(), X, Y, cv=CV)
    assert predicted.shape == Y.shape
    assert np.isin(predicted, (0, 1)).all()


def test_probabilities_from_cross_val_predict_are_refused():
    # For them scikit-learn numbers the distinct values of each column, and NaN becomes 2.
    with pytest.raises(ValueError, match=r"label 'label_0' has \[2.0\]"):
        cross_val_predict(classifier(), X, Y, cv=CV, method="predict_proba")


def test_groups_reach_splitter_with_and_without_metadata_routing():
    groups = np.arange(len(X)) // 5
    scorer = MaskedScorer("entry_accuracy")
    plain = cross_val_score(classifier(), X, Y, cv=CV, scoring=scorer, groups=groups)
    assert not np.array_equal(plain, cross_val_score(classifier(), X, Y, cv=CV, scoring=scorer))
    with sklearn.config_context(enable_metadata_routing=True):
        routed = cross_val_score(
            classifier().set_fit_request(groups=False), X, Y, cv=CV, scoring=scorer, params={"groups": groups}
        )
    np.testing.assert_array_equal(plain, routed)
