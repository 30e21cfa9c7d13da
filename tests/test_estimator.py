"""The public contract of RungwiseClassifier: what goes in, what comes out, and what must not matter."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import rungwise
from rungwise import RandomFeatures, RungwiseClassifier
from rungwise.datasets import make_hierarchy
from rungwise.features import SparseFeatures

N = 331  # a number that no other dimension has
KINDS = ["auto", "sparse", RandomFeatures(width=64)]


def classifier(features="auto", **parameters):
    return RungwiseClassifier(features, **{"max_depth": 8, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def data():
    """Return inputs, labels of a hierarchy and a noisy one that no gate explains, fresh inputs and their labels."""
    X, Y, model = make_hierarchy(N, n_inputs=8, n_levels=2, n_labels_per_level=3, random_state=0)
    rng = np.random.default_rng(0)
    soft = X @ rng.normal(size=8) + rng.normal(size=N) > 0
    fresh = rng.choice(np.float32([-1, 1]), size=(500, 8))
    return X, np.column_stack([Y, soft]), fresh, (model(fresh) > 0).astype(int)


@pytest.mark.parametrize("features", ["auto", "sparse", "random", SparseFeatures(fan_in=2), RandomFeatures(width=32)])
def test_every_kind_of_features_learns(features, data):
    X, Y, fresh, truth = data
    clf = classifier(features).fit(X, Y)
    error = (clf.predict(fresh)[:, :6] != truth).mean()
    assert error == 0 if features in ("auto", "sparse") else error < 0.3
    assert len(clf.hierarchy_.formulas) >= 6 or not isinstance(features, str) or features == "random"


@pytest.mark.parametrize("features", KINDS)
def test_shapes_and_values_of_the_answers(features, data):
    X, Y, fresh, truth = data
    clf = classifier(features).fit(X, Y)
    predicted, probability, log_odds = (f(fresh) for f in (clf.predict, clf.predict_proba, clf.decision_function))
    assert predicted.shape == probability.shape == log_odds.shape == (500, 7)
    assert predicted.dtype == clf.classes_[0].dtype
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-log_odds)))
    seen, one_by_one = {tuple(row) for row in Y}, (probability > 0.5).astype(int)
    changed = (predicted != one_by_one).any(1)
    assert all(tuple(row) in seen for row in predicted[changed])
    right, right_one_by_one = ((answer[:, :6] == truth).all(1).mean() for answer in (predicted, one_by_one))
    assert right >= right_one_by_one
    assert clf.label_names_ == [f"label_{j}" for j in range(7)]
    assert clf.n_features_in_ == 8
    assert clf.n_blocks_ == clf.history_["block"].max() == len(clf.network_.blocks)
    assert len(clf.history_) == 7 * clf.n_blocks_


@pytest.mark.parametrize("coding", [np.array([0, 1]), np.array([-1, 1]), np.array([False, True]), np.array([0.0, 1.0])])
def test_labels_come_back_as_they_were_written(coding, data):
    X, Y, fresh, truth = data
    predicted = classifier().fit(X, coding[Y.astype(int)]).predict(fresh)
    np.testing.assert_array_equal(predicted[:, :6], coding[truth])
    assert predicted.dtype.kind == ("b" if coding.dtype == bool else "i")


def test_history_says_when_labels_were_settled(data):
    X, Y, *_ = data
    history = classifier().fit(X, Y).history_
    settled = history[history["settled"]]
    assert sorted(settled["label"]) == [f"label_{j}" for j in range(6)]
    for label, block in zip(settled["label"], settled["block"], strict=True):
        later = history[(history["label"] == label) & (history["block"] > block)]
        assert not later["taken"].any()
    assert (history["loss_after"] <= history["loss_before"] + 1e-9).all()


@pytest.mark.parametrize("features", KINDS)
def test_row_of_weight_zero_is_absent(features, data):
    X, Y, fresh, _ = data
    weight = np.random.default_rng(1).integers(0, 2, size=N).astype(float)
    weighted = classifier(features).fit(X, Y, sample_weight=weight)
    without = classifier(features).fit(X[weight > 0], Y[weight > 0])
    np.testing.assert_allclose(weighted.predict_proba(fresh), without.predict_proba(fresh))


@pytest.mark.parametrize("features", KINDS)
def test_row_of_weight_two_is_the_row_twice(features, data):
    X, Y, fresh, _ = data
    times = np.random.default_rng(1).integers(1, 3, size=N)
    weighted = classifier(features).fit(X, Y, sample_weight=times)
    repeated = classifier(features).fit(np.repeat(X, times, axis=0), np.repeat(Y, times, axis=0))
    np.testing.assert_allclose(weighted.predict_proba(fresh), repeated.predict_proba(fresh), atol=1e-6)
    assert weighted.hierarchy_.level.tolist() == repeated.hierarchy_.level.tolist()


@pytest.mark.parametrize("features", KINDS)
def test_weight_zero_of_a_label_is_a_missing_annotation(features, data):
    X, Y, fresh, _ = data
    annotated = np.random.default_rng(2).random(Y.shape) < 0.8
    wrong_where_it_does_not_count = np.where(annotated, Y, 1 - Y)
    weighted = classifier(features).fit(X, wrong_where_it_does_not_count, sample_weight=annotated.astype(float))
    missing = classifier(features).fit(X, np.where(annotated, Y, np.nan))
    np.testing.assert_allclose(weighted.predict_proba(fresh), missing.predict_proba(fresh))


@pytest.mark.parametrize("features", ["auto", "sparse"])
def test_half_of_the_annotations_suffice(features, data):
    X, Y, fresh, truth = data
    Y = np.where(np.random.default_rng(3).random(Y.shape) < 0.5, Y, np.nan)
    assert (classifier(features).fit(X, Y).predict(fresh)[:, :6] == truth).mean() > 0.99


def test_pandas_missing_labels_are_missing_annotations(data):
    X, Y, fresh, _ = data
    annotated = np.random.default_rng(2).random(Y.shape) < 0.8
    frame = pd.DataFrame(Y.astype(int)).astype("Int64").where(pd.DataFrame(annotated))
    expected = classifier().fit(X, np.where(annotated, Y, np.nan)).predict_proba(fresh)
    np.testing.assert_allclose(classifier().fit(X, frame).predict_proba(fresh), expected)


@pytest.mark.parametrize("features", KINDS)
@pytest.mark.parametrize("container", ["csr", "csc", "list", "float32", "fortran", "pandas", "polars"])
def test_container_of_x_does_not_matter(container, features, data):
    X, Y, fresh, _ = data
    X, fresh = ((X > 0) * 1.0, (fresh > 0) * 1.0)
    convert = {
        "csr": scipy.sparse.csr_matrix,
        "csc": scipy.sparse.csc_array,
        "list": np.ndarray.tolist,
        "float32": np.float32,
        "fortran": np.asfortranarray,
        "pandas": lambda a: pd.DataFrame(a, columns=list("abcdefgh")),
        "polars": lambda a: pl.DataFrame(a, schema=list("abcdefgh")),
    }[container]
    expected = classifier(features).fit(X, Y).predict_proba(fresh)
    np.testing.assert_allclose(classifier(features).fit(convert(X), Y).predict_proba(convert(fresh)), expected)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_names_are_kept(frame, data):
    X, Y, *_ = data
    columns, labels = list("abcdefgh"), [f"finding {j}" for j in range(7)]
    clf = classifier().fit(frame(dict(zip(columns, X.T, strict=True))), frame(dict(zip(labels, Y.T, strict=True))))
    assert clf.feature_names_in_.tolist() == columns
    assert clf.label_names_ == labels
    assert clf.hierarchy_.feature_names == tuple(columns)
    for label in labels[:6]:
        formula = clf.hierarchy_.formula(label)
        assert str(formula).startswith(f"{label} = ")
        assert set(clf.hierarchy_.parents(label)) == set(formula.literals)
        assert set(formula.literals) <= {*columns, *labels}


@pytest.mark.parametrize("features", KINDS)
@pytest.mark.parametrize("classes", [["no", "yes"], [3, 7], [False, True]])
def test_one_column_of_two_classes(classes, features, data):
    X, Y, fresh, truth = data
    clf = classifier(features).fit(X, np.array(classes)[Y[:, 0].astype(int)])
    assert clf.classes_.tolist() == classes
    assert clf.decision_function(fresh).shape == (500,)
    probability = clf.predict_proba(fresh)
    assert probability.shape == (500, 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_array_equal(clf.predict(fresh), clf.classes_[probability.argmax(axis=1)])
    assert (clf.predict(fresh) == np.array(classes)[truth[:, 0]]).mean() > 0.7


@pytest.mark.parametrize("features", KINDS)
def test_one_column_of_several_classes(features):
    rng = np.random.default_rng(0)
    X, fresh = rng.choice([-1.0, 1.0], size=(400, 5)), rng.choice([-1.0, 1.0], size=(300, 5))

    def kind(X):
        return np.array(["none", "left", "right", "both"])[((X[:, :2] > 0) @ [1, 2])]

    clf = classifier(features).fit(X, kind(X))
    assert clf.classes_.tolist() == clf.label_names_ == ["both", "left", "none", "right"]
    assert clf.decision_function(fresh).shape == clf.predict_proba(fresh).shape == (300, 4)
    np.testing.assert_allclose(clf.predict_proba(fresh).sum(axis=1), 1)
    assert (clf.predict(fresh) == kind(fresh)).mean() > 0.99
    assert clf.score(fresh, kind(fresh)) > 0.99


@pytest.mark.parametrize("features", KINDS)
def test_constant_labels_are_predicted_and_do_not_disturb(features, data):
    X, Y, fresh, truth = data
    constant = np.column_stack([np.zeros(N), Y, np.ones(N)])
    clf = classifier(features).fit(X, constant)
    predicted = clf.predict(fresh)
    assert (predicted[:, 0] == 0).all()
    assert (predicted[:, -1] == 1).all()
    assert clf.hierarchy_.formula(0) is None
    if features in ("auto", "sparse"):
        np.testing.assert_array_equal(predicted[:, 1:7], truth)


def test_labels_that_are_all_constant_are_predicted_and_have_no_level(data):
    X, *_, fresh, _ = data
    clf = classifier().fit(X, np.ones((N, 2)))
    assert (clf.predict(fresh) == 1).all()
    assert np.isfinite(clf.predict_proba(fresh)).all()
    assert clf.hierarchy_.level.tolist() == [0, 0]


@pytest.mark.parametrize("features", KINDS)
def test_random_state_makes_fits_repeatable(features, data):
    X, Y, fresh, _ = data
    one, same = (classifier(features).fit(X, Y).predict_proba(fresh) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    other = classifier(features, random_state=1).fit(X, Y).predict_proba(fresh)
    assert (other != one).any()
    refitted = classifier(features).fit(X[:100], Y[:100]).fit(X, Y).predict_proba(fresh)
    np.testing.assert_array_equal(refitted, one)


def test_global_random_state_is_neither_read_nor_written(data):
    X, Y, fresh, _ = data
    one = classifier().fit(X, Y).predict_proba(fresh)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    np.testing.assert_array_equal(classifier().fit(X, Y).predict_proba(fresh), one)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


@pytest.mark.parametrize("features", KINDS)
def test_order_of_rows_does_not_matter(features, data):
    X, Y, fresh, _ = data
    order = np.random.default_rng(4).permutation(N)
    one, other = classifier(features).fit(X, Y), classifier(features).fit(X[order], Y[order])
    np.testing.assert_allclose(other.predict_proba(fresh), one.predict_proba(fresh), atol=1e-9)
    assert str(other.hierarchy_) == str(one.hierarchy_)


@pytest.mark.parametrize("features", KINDS)
def test_order_of_labels_does_not_matter(features, data):
    X, Y, fresh, _ = data
    order = np.random.default_rng(5).permutation(7)
    one, other = classifier(features, max_depth=3).fit(X, Y), classifier(features, max_depth=3).fit(X, Y[:, order])
    if features in ("auto", "sparse"):
        settled = order < 6
        expected, found = one.predict_proba(fresh)[:, order], other.predict_proba(fresh)
        np.testing.assert_allclose(found[:, settled], expected[:, settled], atol=1e-9)
    # Random units draw other weights for the label's places in the stream: only the first block is the same.
    else:
        expected = one.network_(torch.as_tensor(one.standardizer_.transform(fresh.astype(float))), return_all=True)[1]
        found = other.network_(torch.as_tensor(other.standardizer_.transform(fresh.astype(float))), return_all=True)[1]
        torch.testing.assert_close(found, expected[:, torch.as_tensor(order)], atol=1e-9, rtol=0)


@pytest.mark.parametrize("features", KINDS)
def test_probability_of_a_row_does_not_depend_on_its_batch(features, data):
    X, Y, fresh, _ = data
    clf = classifier(features).fit(X, Y)
    one_by_one = np.vstack([clf.predict_proba(row[None]) for row in fresh[:20]])
    np.testing.assert_allclose(one_by_one, clf.predict_proba(fresh)[:20], atol=1e-12)


def test_rows_of_a_group_share_a_fold():
    # Every group has a label of its own: whoever has seen a row of the group knows those of the others.
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 10)
    X = rng.normal(size=(40, 12))[group] + 0.05 * rng.normal(size=(400, 12))
    y = rng.integers(0, 2, 40)[group][:, None]
    shared = classifier(RandomFeatures(width=256)).fit(X, y, groups=[f"site {g}" for g in group])
    with pytest.warns(UserWarning, match="give fit the subject of each row as groups="):
        apart = classifier(RandomFeatures(width=256)).fit(X, y)
    assert apart.hierarchy_.honest_error[0] < 0.05
    assert shared.hierarchy_.honest_error[0] > 0.3


def test_pipeline_grid_search_and_clone(data):
    X, Y, fresh, truth = data
    pipeline = make_pipeline(StandardScaler(), classifier(max_depth=4))
    grid = {"rungwiseclassifier__features": ["auto", RandomFeatures(width=8)]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, Y[:, :6])
    assert search.best_params_["rungwiseclassifier__features"] == "auto"
    np.testing.assert_array_equal(search.predict(fresh), truth)
    fitted = search.best_estimator_[-1]
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(fresh)


def arrays_in(thing, seen):
    """Return all arrays and tensors that can be reached from an object."""
    if id(thing) in seen:
        return []
    seen[id(thing)] = thing
    if isinstance(thing, np.ndarray | torch.Tensor):
        return [thing]
    if isinstance(thing, pd.DataFrame | pd.Series):
        return [thing.to_numpy()]
    if isinstance(thing, Mapping):
        parts = list(thing.values())
    elif isinstance(thing, list | tuple | set):
        parts = list(thing)
    elif type(thing).__module__.partition(".")[0] in ("rungwise", "torch"):
        parts = [getattr(thing, "__dict__", {}), getattr(thing, "__closure__", None)]
    else:
        parts = []
    return [array for part in parts for array in arrays_in(part, seen)]


@pytest.mark.parametrize("features", KINDS)
@pytest.mark.parametrize("as_frame", [False, True])
def test_no_training_data_is_kept(as_frame, features, data):
    X, Y, *_ = data
    if as_frame:
        X = pd.DataFrame(X, columns=list("abcdefgh")).assign(kind=np.where(Y[:, 0] > 0, "p", "q"))
    clf = classifier(features).fit(X, Y, sample_weight=np.ones(N), groups=np.arange(N))
    arrays = arrays_in(clf.__dict__, {})
    assert len(arrays) > 10
    assert not [array.shape for array in arrays if N in array.shape]


@pytest.mark.parametrize("features", [*KINDS, SparseFeatures(fan_in=2, n_thresholds=5)])
@pytest.mark.parametrize("n", [N, 2500])  # in double and in single precision
def test_saved_model_answers_as_before(n, features, tmp_path):
    X, Y, _ = make_hierarchy(n, n_inputs=8, n_levels=2, n_labels_per_level=3, random_state=0)
    rng = np.random.default_rng(0)
    if n == N or features != "auto":  # 1,024 random units take their time
        Y = np.column_stack([Y, X @ rng.normal(size=8) + rng.normal(size=n) > 0])
    clf = classifier(features, max_depth=4).fit(X, Y)
    rungwise.save(clf, tmp_path / "m")
    loaded = rungwise.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert str(loaded.hierarchy_) == str(clf.hierarchy_)
    assert loaded.features == clf.features
    for label, formula in clf.hierarchy_.formulas.items():
        assert loaded.hierarchy_.formula(label).to_dict() == formula.to_dict()
    pd.testing.assert_frame_equal(loaded.hierarchy_.to_frame(), clf.hierarchy_.to_frame())
    assert loaded.hierarchy_.edges == clf.hierarchy_.edges


def test_missing_values_of_x_are_handled(data):
    X, Y, fresh, _ = data
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.05, np.nan, X)
    for features in KINDS:
        clf = classifier(features).fit(holes, Y)
        assert np.isfinite(clf.predict_proba(np.vstack([fresh, np.full((1, 8), np.nan)]))).all()
        assert (clf.predict(holes)[:, :6] == Y[:, :6]).mean() > 0.8


def test_label_never_learned_is_wrong_as_often_as_its_frequency(data):
    X, *_ = data
    y = np.random.default_rng(0).integers(0, 2, N)
    clf = classifier(RandomFeatures(width=16)).fit(X, y[:, None])
    assert clf.n_blocks_ == 0
    assert clf.hierarchy_.honest_error[0] == pytest.approx(min(y.mean(), 1 - y.mean()))


@pytest.mark.parametrize("features", ["auto", "sparse"])
@pytest.mark.parametrize("seed", range(3))
def test_noise_labels_get_no_formula(features, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(200, 6)), rng.integers(0, 2, size=(200, 5))
    assert not classifier(features).fit(X, Y).hierarchy_.formulas
