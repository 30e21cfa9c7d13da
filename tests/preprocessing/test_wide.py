"""What a sparse matrix is reduced to, and what must not change it."""

import tracemalloc

import numpy as np
import scipy.sparse

from rungwise.preprocessing.wide import WideReducer, canonical

N, N_COLUMNS = 60, 200


def draw(n=N, n_columns=N_COLUMNS, density=0.05, seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = (rng.integers(0, size, int(n * n_columns * density)) for size in (n, n_columns))
    return scipy.sparse.csr_array((rng.integers(1, 6, len(rows)) * 1.0, (rows, columns)), shape=(n, n_columns))


def fit(X, positive=None, seed=0, content=None, unit=None, **sizes):
    n = X.shape[0]
    targets = np.where(np.arange(n) % 2 == 0 if positive is None else positive, 1.0, -1.0).reshape(n, -1)
    content = np.arange(n) if content is None else content
    reducer = WideReducer(**{"max_columns": 20, "n_components": 10, **sizes})
    return reducer.fit(X, targets, np.ones_like(targets), content, content if unit is None else unit, seed)


def assert_same(one, other):
    for name, array in one.to_tensors().items():
        np.testing.assert_array_equal(other.to_tensors()[name], array)


def test_kept_columns_pass_through():
    X = canonical(draw())
    reducer = fit(X)
    assert len(reducer.columns_) == 20
    np.testing.assert_array_equal(reducer.transform(X)[:, :20], X.toarray()[:, reducer.columns_])


def test_frequent_columns_are_kept_beside_those_that_tell():
    X = canonical(draw())
    n_present = (X.toarray() != 0).sum(axis=0)
    rare = int(np.flatnonzero(n_present == 3)[0])
    frequent = np.argsort(-n_present, kind="stable")[:20]
    np.testing.assert_array_equal(fit(X).columns_, np.sort(frequent))
    expected = np.sort([rare, *frequent[:19]])
    np.testing.assert_array_equal(fit(X, X.toarray()[:, rare] != 0).columns_, expected)


def test_components_keep_angles_between_rows():
    X = canonical(draw())
    dense = X.toarray()
    weighted = np.log1p(dense) * (np.log((1 + N) / (1 + (dense != 0).sum(axis=0))) + 1)
    weighted /= np.linalg.norm(weighted, axis=1, keepdims=True)
    components = fit(X, n_components=N).transform(X)[:, 20:]
    np.testing.assert_allclose(components @ components.T, weighted @ weighted.T, atol=1e-5)
    few = fit(X, n_components=10).transform(X)[:, 20:]
    singular = np.linalg.svd(weighted, compute_uv=False)
    assert (few**2).sum() > 0.98 * (singular[:10] ** 2).sum()


def test_order_and_copies_of_rows_do_not_matter():
    X, positive = canonical(draw()), np.arange(N) % 3 == 0
    order = np.random.default_rng(1).integers(0, N, 3 * N)
    order = np.r_[order, np.setdiff1d(np.arange(N), order)]
    expected = fit(X, positive)
    assert_same(expected, fit(X[order], positive[order], content=order))


def test_words_of_groups_tell_of_their_groups_only():
    # Ten rows that share a word and a verdict are evidence, unless they are ten rows of one group.
    group = np.arange(N) % 6
    words = scipy.sparse.csr_array((np.ones(N), (np.arange(N), group)), shape=(N, 6))
    X = canonical(scipy.sparse.hstack([draw(density=0.5), words], format="csr"))
    assert N_COLUMNS in fit(X, group == 0).columns_
    assert N_COLUMNS not in fit(X, group == 0, unit=group).columns_


def test_how_zeros_are_stored_does_not_matter():
    X = draw()
    coo = X.tocoo()
    order = np.random.default_rng(1).permutation(coo.nnz)
    # Every entry in two halves, in any order, and zeros where there is nothing.
    rows, columns = (np.r_[index[order], index[order], np.arange(N)] for index in (coo.row, coo.col))
    other = scipy.sparse.coo_array((np.r_[coo.data[order] / 2, coo.data[order] / 2, np.zeros(N)], (rows, columns)))
    other.resize(X.shape)
    assert_same(fit(canonical(X)), fit(canonical(other.tocsr())))


def test_canonical_leaves_its_argument_alone():
    X = scipy.sparse.csr_array((np.array([1.0, 0.0]), np.array([2, 1]), np.array([0, 2])), shape=(1, 3))
    canonical(X)
    assert X.indices.tolist() == [2, 1]


def test_missing_values_are_kept_and_count_as_zero_in_components():
    X = canonical(draw())
    reducer = fit(X, max_columns=N_COLUMNS)
    with_nan, without = X.copy(), X.copy()
    with_nan.data[:5], without.data[:5] = np.nan, 0
    reduced = reducer.transform(with_nan)
    np.testing.assert_array_equal(reduced[:, :N_COLUMNS], with_nan.toarray())
    np.testing.assert_array_equal(reduced[:, N_COLUMNS:], reducer.transform(without)[:, N_COLUMNS:])
    assert np.isfinite(fit(with_nan).components_).all()


def test_rows_of_nothing_are_nothing():
    X = canonical(scipy.sparse.csr_array((N, N_COLUMNS)))
    assert not fit(X).transform(X).any()


def test_component_is_called_by_its_strongest_columns():
    names = [f"word{j}" for j in range(N_COLUMNS)]
    reducer = fit(canonical(draw()))
    called = reducer.output_names(names)
    assert called[:20] == [names[column] for column in reducer.columns_]
    for loadings, name in zip(reducer.components_.T, called[20:], strict=True):
        strongest = np.argsort(-np.abs(loadings))[:3]
        signed = [("-" if loadings[column] < 0 else "") + names[column] for column in strongest]
        assert name.endswith(f"({', '.join(signed)})")
        assert loadings[strongest[0]] > 0
    assert called[20].startswith("component 1 (")


def test_matrix_is_never_made_dense():
    X = canonical(draw(2000, 20_000, density=0.001))
    tracemalloc.start()
    fit(X).transform(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.2 * 2000 * 20_000 * 8
