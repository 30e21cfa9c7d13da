"""Sparse tables of very many columns: the same contract as for any other X, without a dense copy."""

import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import rungwise
from rungwise import RandomFeatures, RungwiseClassifier, estimator
from rungwise.preprocessing.wide import WideReducer

N, N_WORDS = 400, 1000
RARE = [500, 700, 900]


def draw_texts(n, n_words=N_WORDS, seed=0):
    """Return counts of words whose frequencies follow Zipf's law, and three rare words in three rows of a hundred."""
    rng = np.random.default_rng(seed)
    rows, words = np.repeat(np.arange(n), 30), (np.exp(rng.random(30 * n) * np.log(n_words))).astype(int) - 1
    X = scipy.sparse.coo_array((np.ones(len(rows)), (rows, words)), shape=(n, n_words)).tolil()
    X[:, RARE] = rng.random((n, 3)) < 0.03
    X = X.tocsr()
    has = X[:, RARE].toarray() > 0
    frequent = X[:, [20]].toarray()[:, 0] > 0
    return X, np.column_stack([has[:, 0], has[:, 1] | frequent, has[:, 2], has[:, 0] | has[:, 2]])


X, Y = draw_texts(N)
FRESH, TRUTH = draw_texts(400, seed=1)


def classifier(features=None, **parameters):
    return RungwiseClassifier(features or RandomFeatures(width=16), **{"max_depth": 2, "random_state": 0, **parameters})


@pytest.fixture(autouse=True, scope="module")
def small():
    """Reduce to fewer columns, so that the tests are quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimator, "WIDE", 200)
        patch.setattr(estimator, "WideReducer", partial(WideReducer, max_columns=200, n_components=20))
        yield


@pytest.fixture(scope="module")
def fitted(small):
    return classifier().fit(X, Y)


@pytest.mark.parametrize("features", ["auto", "sparse"])
def test_labels_that_depend_on_rare_words_are_learned(features):
    clf = classifier(features, max_depth=4).fit(X, Y)
    assert (clf.predict(FRESH) == TRUTH).mean() > 0.99
    # Labels of some 15 examples are not believed to be one word, and yet are known by it.
    assert [clf.hierarchy_.parents(j) for j in (0, 2)] == [["x500"], ["x900"]]
    assert str(clf.hierarchy_.formula(1)) == "label_1 = or(x20 > 0.5, x700)"


def test_hierarchy_shows_columns_and_components(fitted):
    names = fitted.hierarchy_.feature_names
    assert fitted.n_features_in_ == N_WORDS
    assert len(names) == len(set(names)) == fitted.network_.n_inputs == 220
    assert {"x500", "x20"} <= set(names)
    assert sum(name.startswith("component ") and "x" in name for name in names) == 20
    assert fitted.hierarchy_.importance.shape == (224, 4)


@pytest.mark.parametrize("container", [scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_matrix])
def test_container_does_not_matter(container, fitted):
    expected = fitted.predict_proba(FRESH)
    np.testing.assert_array_equal(classifier().fit(container(X), Y).predict_proba(container(FRESH)), expected)


def test_dense_rows_may_be_predicted_too(fitted):
    np.testing.assert_array_equal(fitted.predict_proba(FRESH.toarray()), fitted.predict_proba(FRESH))


def test_stored_zeros_do_not_matter(fitted):
    with_zeros = scipy.sparse.csr_array(
        (np.r_[X.data, np.zeros(N)], (np.r_[X.tocoo().row, np.arange(N)], np.r_[X.indices, np.arange(N)])), X.shape
    )
    n_stored = with_zeros.nnz
    assert n_stored > X.nnz
    found = classifier().fit(with_zeros, Y).predict_proba(FRESH)
    np.testing.assert_array_equal(found, fitted.predict_proba(FRESH))
    assert with_zeros.nnz == n_stored


@pytest.mark.parametrize("features", [None, "auto"])
def test_order_of_rows_does_not_matter(features):
    order = np.random.default_rng(0).permutation(N)
    one, other = (classifier(features).fit(X[rows], Y[rows]) for rows in (np.arange(N), order))
    np.testing.assert_allclose(one.predict_proba(FRESH), other.predict_proba(FRESH), atol=1e-7)
    assert str(one.hierarchy_) == str(other.hierarchy_)


def test_row_of_weight_two_is_the_row_twice():
    times = np.random.default_rng(1).integers(0, 3, size=N)
    weighted = classifier().fit(X, Y, sample_weight=times)
    repeated = classifier().fit(X[np.repeat(np.arange(N), times)], np.repeat(Y, times, axis=0))
    np.testing.assert_array_equal(weighted.reducer_.columns_, repeated.reducer_.columns_)
    np.testing.assert_allclose(weighted.predict_proba(FRESH), repeated.predict_proba(FRESH), atol=1e-6)


def test_probability_of_a_row_does_not_depend_on_its_batch(fitted):
    one_by_one = np.vstack([fitted.predict_proba(FRESH[[row]]) for row in range(10)])
    np.testing.assert_allclose(one_by_one, fitted.predict_proba(FRESH)[:10], atol=1e-12)


def test_rows_are_predicted_in_parts(fitted, monkeypatch):
    expected = fitted.predict_proba(FRESH)
    monkeypatch.setattr(estimator, "_CHUNK", 3 * 220)
    np.testing.assert_allclose(fitted.predict_proba(FRESH), expected, atol=1e-12)


def test_loaded_model_is_the_saved_one(fitted, tmp_path):
    rungwise.save(fitted, tmp_path / "m")
    loaded = rungwise.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_proba(FRESH), fitted.predict_proba(FRESH))
    pd.testing.assert_frame_equal(loaded.hierarchy_.to_frame(), fitted.hierarchy_.to_frame())


def test_missing_values_are_missing():
    with_nan = X.astype(float)
    with_nan.data[::50] = np.nan
    clf = classifier("sparse").fit(with_nan, Y)
    assert np.isfinite(clf.predict_proba(with_nan)).all()
    assert (clf.predict(FRESH) == TRUTH).mean() > 0.97


def test_infinity_is_refused():
    infinite = X.astype(float)
    infinite.data[3] = np.inf
    with pytest.raises(ValueError, match="must hold finite numbers"):
        classifier().fit(infinite, Y)


def test_model_of_a_wide_table_refuses_another_width(fitted):
    with pytest.raises(ValueError, match="999 features"):
        fitted.predict(FRESH[:, :999])


def test_refit_on_a_narrow_table_forgets_the_wide_one():
    clf = classifier().fit(X, Y)
    narrow = clf.fit(X[:, :30], Y)
    assert narrow.reducer_ is None
    expected = classifier().fit(X[:, :30].toarray(), Y).predict_proba(FRESH[:, :30].toarray())
    np.testing.assert_array_equal(narrow.predict_proba(FRESH[:, :30]), expected)


def test_table_is_never_made_dense():
    wide, labels = draw_texts(N, n_words=30_000)
    tracemalloc.start()
    classifier(max_depth=1).fit(wide, labels).predict(wide)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * N * 30_000 * 8
