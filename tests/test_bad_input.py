"""Bad input gets an error that names the value and the remedy, or is handled."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from rungwise import RandomFeatures, RungwiseClassifier, SparseFeatures

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.stack([X[:, 0] > 0, X[:, 1] > 0], axis=1).astype(float)


def classifier(**parameters):
    return RungwiseClassifier(**{"features": RandomFeatures(width=16), "max_depth": 2, "random_state": 0, **parameters})


def with_value(array, value, dtype=None):
    array = array.astype(dtype or array.dtype)
    array[0, 0] = value
    return array


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (X[:0], Y[:0], "0 sample"),
        (X[:, :0], Y, "0 feature"),
        (X[:1], Y[:1], "at least 2 examples.*n_samples=1"),
        (X[:, 0], Y, "Expected 2D array, got 1D"),
        (X[:, :, None], Y, "dim 3"),
        (X + 1j, Y, "Complex data not supported.*complex128; give real and imaginary parts"),
        (scipy.sparse.csr_array(X + 1j), Y, "Complex data not supported.*complex128"),
        (
            with_value(X, "blue", object),
            Y,
            "must hold numbers, however: 'blue' in column 0; give text columns in a data",
        ),
        (with_value(X.astype("U9"), "blue"), Y, "must hold numbers, however: 'blue' in column 0"),
        ([["a", 1.0]] * 40, Y, "must hold numbers, however: 'a' in column 0"),
        (with_value(X, np.inf), Y, "must hold finite numbers, or NaN.*however: inf in column 0; replace"),
        (with_value(X, -np.inf), Y, "however: -inf in column 0"),
        (scipy.sparse.csr_array(with_value(X, np.inf)), Y, "however: inf in column 0"),
        (with_value(X, "inf", object), Y, "infinity"),
        (X[:30], Y, r"inconsistent numbers of samples: \[40, 30\]|inconsistent numbers of samples: \[30, 40\]"),
        (X, with_value(Y, 2.0), r"label 'label_0' has \[2.0\].*column of its own"),
        (X, with_value(Y, -1.0), "label_0"),
        (X, with_value(Y, 0.5), r"label 'label_0' has \[0.5\]"),
        (X, with_value(Y, np.inf), r"label 'label_0' has \[inf\]"),
        (X, Y.astype(str), "only a 1-D y may hold class names"),
        (X, Y[:, :0], "at least 1 label"),
        (X, Y[:, :, None], r"shape \(n_samples, n_labels\)"),
        (X, None, "requires y to be passed"),
        (X, pd.DataFrame(Y, columns=["a", "a"]), r"\['a'\] appear more than once"),
        (X, pd.DataFrame(Y, columns=["a", "b"]).assign(b=np.nan), r"no annotation at all.*\['b'\]"),
        (X, np.array(["a", "b", None, "a"] * 10, dtype=object), r"class for every example, however: y\[2\] is None"),
        (X, np.zeros(40), "at least 2 classes.*only one class"),
    ],
)
def test_unusable_data_is_explained(features, labels, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(features, labels)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.ones(40), "must not be negative.*-1.0"),
        (np.full(40, np.nan), "sample_weight contains NaN"),
        (np.zeros(40), "zero for every example"),
        (np.ones((40, 3)), r"must have shape \(40,\) or \(40, 2\), however: \(40, 3\)"),
        (np.ones((40, 2)) * [1, 0], r"without any weight.*\['label_1'\]"),
    ],
)
def test_unusable_weights_are_explained(weights, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, Y, sample_weight=weights)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"features": "sprase"}, "features must be one of.*'sprase'"),
        ({"features": RandomFeatures}, "object with a method fit"),
        ({"coherent": "yes"}, "coherent must be True or False, however: coherent='yes'"),
        ({"loss": "hinge"}, "loss must be one of.*'hinge'"),
        ({"solver": "adam"}, "solver must be one of.*'adam'"),
        ({"penalty": -1.0}, "penalty=-1.0"),
        ({"penalty": "none"}, "penalty='none'"),
        ({"max_depth": 0}, "max_depth=0"),
        ({"max_depth": -3}, "max_depth=-3"),
        ({"max_depth": 2.5}, "max_depth=2.5"),
        ({"n_folds": 1}, "n_folds=1"),
        ({"tolerance": 1.0}, "tolerance=1.0"),
        ({"n_folds": True}, "n_folds=True"),
        ({"tolerance": "a"}, "tolerance='a'"),
        ({"tolerance": None}, "tolerance=None"),
        ({"tolerance": np.nan}, "tolerance=nan"),
        ({"penalty": None}, "penalty=None"),
        ({"penalty": True}, "penalty=True"),
        ({"penalty": np.nan}, "penalty=nan"),
        ({"callbacks": 3}, "callbacks=3"),
        ({"callbacks": [print, "x"]}, "callbacks=.*'x'"),
        ({"device": "meta"}, "device='meta'"),
        ({"device": None}, "device=None"),
        ({"device": "cuda:77"}, "device='cuda:77'"),
        ({"device": "toaster"}, "device='toaster'"),
        ({"random_state": -1}, "random_state=-1"),
    ],
)
def test_unusable_parameter_is_named_with_its_value(parameters, message):
    with pytest.raises(ValueError, match=message):
        classifier(**parameters).fit(X, Y)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([None, *"ab" * 19, "a"], "missing for example 0; give that example a group"),
        (np.r_[np.zeros(39), np.nan], "missing for example 39"),
        (np.ones((40, 1)), r"groups must have shape \(n_samples,\), however: \(40, 1\)"),
        (3, r"groups must have shape \(n_samples,\), however: \(\)"),
    ],
)
def test_unusable_groups_are_explained(groups, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, Y, groups=groups)


@pytest.mark.parametrize(
    ("make", "parameters", "message"),
    [
        (RandomFeatures, {"width": 0}, "width=0"),
        (RandomFeatures, {"width": True}, "width=True"),
        (RandomFeatures, {"width": 2.0}, "width=2.0"),
        (RandomFeatures, {"beta": "a"}, "beta='a'"),
        (RandomFeatures, {"beta": 1}, "beta=1"),
        (SparseFeatures, {"fan_in": 0}, "fan_in=0"),
        (SparseFeatures, {"width": "a"}, "width='a'"),
    ],
)
def test_unusable_settings_of_features_are_named(make, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters)


def test_numbers_may_be_of_numpy_types():
    clf = classifier(features=RandomFeatures(width=np.int64(8), beta=np.float32(0.5)), penalty=np.float64(0.1))
    assert clf.set_params(max_depth=np.int8(1), tolerance=np.float32(0.0)).fit(X, Y).n_blocks_ == 1


def test_wrong_width_at_predict_is_explained():
    clf = classifier().fit(X, Y)
    with pytest.raises(ValueError, match="X has 2 features, but RungwiseClassifier is expecting 3"):
        clf.predict(X[:, :2])


def test_renamed_columns_at_predict_are_named():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    clf = classifier().fit(frame, Y)
    with pytest.raises(ValueError, match=re.compile("feature names.*d", re.DOTALL)):
        clf.predict(frame.rename(columns={"c": "d"}))


def test_array_is_refused_by_a_model_of_a_table_with_text():
    frame = pd.DataFrame({"a": X[:, 0], "kind": np.where(X[:, 1] > 0, "p", "q"), "day": pd.Timestamp("2026-01-01")})
    clf = classifier().fit(frame, Y)
    for other in (X, X[:, :2], X.tolist(), scipy.sparse.csr_array(X)):
        with pytest.raises(ValueError, match=r"X must be a data frame.*'kind', 'day', however"):
            clf.predict(other)
    assert clf.predict(pl.from_pandas(frame)).shape == (40, 2)


def test_array_is_read_by_a_model_of_a_table_of_numbers_if_its_width_fits():
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(d=X[:, 0] > 0)
    clf = classifier().fit(frame, Y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(clf.predict(frame.to_numpy(dtype=float)), clf.predict(frame))
    with pytest.warns(UserWarning, match="feature names"), pytest.raises(ValueError, match=r"X has 3 .* expecting 4"):
        clf.predict(X)


def test_missing_values_in_x_are_handled():
    X_missing = X.copy()
    X_missing[::4, 2] = np.nan
    clf = classifier().fit(X_missing, Y)
    assert np.isfinite(clf.predict_proba(X_missing)).all()
    assert np.isfinite(clf.predict_proba(np.full((1, 3), np.nan))).all()


def test_constant_label_is_predicted():
    clf = classifier().fit(X, np.column_stack([Y, np.ones(40), np.zeros(40)]))
    assert (clf.predict(X)[:, 2:] == [1, 0]).all()
    assert (clf.predict_proba(X)[:, 2] > 0.9).all()
