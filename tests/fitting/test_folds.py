from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rungwise.fitting.folds import Grouping, assign_folds, find_units, hash_rows

tables = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12), elements=st.floats(-3, 3)
).filter(lambda X: len(np.unique(X, axis=0)) >= 2)


@settings(deadline=None)
@given(tables, st.integers(2, 6), st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(X, n_folds, seed, random):
    order = np.array(random.sample(range(len(X)), len(X)))
    fold = assign_folds(find_units(X, seed), n_folds)
    assert (assign_folds(find_units(X[order], seed), n_folds) == fold[order]).all()


@settings(deadline=None)
@given(tables, st.integers(2, 6), st.integers(0, 2**32))
def test_duplicates_stay_together_and_change_no_other_row(X, n_folds, seed):
    fold = assign_folds(find_units(X, seed), n_folds)
    twice = assign_folds(find_units(np.vstack([X, X[::-1]]), seed), n_folds)
    assert (twice == np.r_[fold, fold[::-1]]).all()


@settings(deadline=None)
@given(tables, st.integers(2, 6), st.integers(0, 2**32))
def test_distinct_rows_are_shared_out_evenly(X, n_folds, seed):
    X = np.unique(X, axis=0)
    sizes = np.bincount(assign_folds(find_units(X, seed), n_folds))
    assert len(sizes) == min(n_folds, len(X))
    assert sizes.max() - sizes.min() <= 1


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdef"), min_size=4, max_size=20), st.integers(2, 4), st.integers(0, 99))
def test_groups_stay_together(groups, n_folds, seed):
    groups = np.array([*groups, "a", "b"])
    X = np.random.default_rng(0).normal(size=(len(groups), 2))
    fold = assign_folds(find_units(X, seed, groups), n_folds)
    for group in set(groups.tolist()):
        assert len(set(fold[groups == group].tolist())) == 1
    assert len(set(fold.tolist())) == min(n_folds, len(set(groups.tolist())))


def test_negative_zero_is_zero_and_every_nan_the_same():
    other_nan = np.array([0x7FF8000000000123], dtype=np.uint64).view(np.float64)[0]
    rng = np.random.default_rng(0)
    X = np.vstack([[0.0, np.nan], rng.normal(size=(50, 2))])
    Z = X.copy()
    Z[0] = -0.0, other_nan
    for seed in range(5):
        assert (assign_folds(find_units(X, seed), 5) == assign_folds(find_units(Z, seed), 5)).all()


def test_seed_decides():
    X = np.random.default_rng(0).normal(size=(100, 3))
    assert (assign_folds(find_units(X, 0), 4) == assign_folds(find_units(X, 0), 4)).all()
    assert (assign_folds(find_units(X, 0), 4) != assign_folds(find_units(X, 1), 4)).any()


def test_columns_are_told_apart():
    X = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert sorted(assign_folds(find_units(X, 0), 2)) == [0, 1]


@pytest.mark.parametrize(("groups", "what"), [(None, "rows"), (np.zeros(3), "groups")])
def test_a_single_distinct_row_or_group_is_refused(groups, what):
    X = np.ones((3, 2)) if groups is None else np.eye(3)
    with pytest.raises(ValueError, match=f"at least 2 distinct {what}, however: 1"):
        assign_folds(find_units(X, 0, groups), 2)


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=20))
def test_copies_are_the_first_row_of_each_content_in_order(content):
    everything = torch.tensor(content)
    first, place = Grouping([slice(0, len(content))], everything, everything).copies()
    distinct = list(dict.fromkeys(content))
    assert first.tolist() == [content.index(value) for value in distinct]
    assert place.tolist() == [distinct.index(value) for value in content]


def test_copies_in_different_folds_stay_apart():
    content = torch.tensor([0, 1, 0, 0, 1, 1])
    first, place = Grouping([slice(0, 3), slice(3, 6)], torch.arange(6), content).copies()
    assert first.tolist() == [0, 1, 3, 4]
    assert place.tolist() == [0, 1, 0, 2, 3, 3]


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any))
def test_fold_of_each_row_is_the_run_that_it_is_in(sizes):
    ends = np.r_[0, np.cumsum(sizes)].tolist()
    folds = [slice(start, end) for start, end in pairwise(ends)]
    fold = Grouping.apart(folds).fold
    assert fold.tolist() == [which for which, rows in enumerate(folds) for _ in range(rows.start, rows.stop)]


def test_rows_apart_are_their_own_units_and_contents():
    grouping = Grouping.apart([slice(0, 2), slice(2, 5)])
    assert grouping.unit.tolist() == grouping.content.tolist() == [0, 1, 2, 3, 4]
    first, place = grouping.copies()
    assert first.tolist() == place.tolist() == [0, 1, 2, 3, 4]
    assert grouping.to(torch.device("cpu")).fold.tolist() == [0, 0, 1, 1, 1]


@settings(deadline=None)
@given(tables, st.integers(0, 2**32))
def test_sparse_row_has_the_hash_of_the_dense_one(X, seed):
    X = np.where(np.abs(X) > 2, np.nan, np.where(np.abs(X) < 1, 0.0, X))
    expected = hash_rows(X, seed)
    sparse = scipy.sparse.csr_array(X)
    np.testing.assert_array_equal(hash_rows(sparse, seed), expected)
    reverse = slice(None, None, -1)
    in_reverse = (sparse.data[reverse], sparse.indices[reverse], sparse.nnz - sparse.indptr[reverse])
    np.testing.assert_array_equal(hash_rows(scipy.sparse.csr_array(in_reverse, X.shape), seed), expected[reverse])
    everything = (X.ravel(), np.tile(np.arange(X.shape[1]), len(X)), np.arange(0, X.size + 1, X.shape[1]))
    np.testing.assert_array_equal(hash_rows(scipy.sparse.csr_array(everything, X.shape), seed), expected)


def test_hash_of_a_row_does_not_depend_on_the_table_it_is_in():
    X = np.random.default_rng(0).normal(size=(5000, 1000))
    np.testing.assert_array_equal(hash_rows(X, 0)[4990:], hash_rows(X[4990:], 0))
