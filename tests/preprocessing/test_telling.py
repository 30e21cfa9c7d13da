"""A column is picked for what it says of a label, however rare it is, and not by chance."""

import numpy as np
import pytest
import scipy.sparse

from rungwise.preprocessing.telling import telling_columns

N, N_COLUMNS = 500, 3000


@pytest.fixture
def present():
    """Return a matrix in which column j holds something in some N / (j + 2) rows, but in four rows at least."""
    rng = np.random.default_rng(0)
    n_present = np.maximum(N // (np.arange(N_COLUMNS) + 2), 4)
    rows = np.concatenate([rng.choice(N, n, replace=False) for n in n_present])
    columns = np.repeat(np.arange(N_COLUMNS), n_present)
    return scipy.sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(N, N_COLUMNS))


@pytest.mark.parametrize("column", [3, 40, 2500])
def test_column_that_is_a_label_comes_first(present, column):
    positive = present[:, [column]].toarray() > 0
    assert telling_columns(present, positive, np.ones((N, 1)))[0] == column
    assert telling_columns(present, ~positive, np.ones((N, 1)))[0] == column


def test_labels_of_chance_pick_one_column_in_the_mean_at_most(present):
    rng = np.random.default_rng(1)
    found = [
        len(telling_columns(present, rng.random((N, 20)) < rate, np.ones((N, 20)))) for rate in (0.01, 0.1, 0.5) * 3
    ]
    assert np.mean(found) <= 1


def test_every_label_has_its_turn(present):
    # Many columns tell of the first label, all of them more often than the second label's only one is there.
    positive = np.column_stack([present[:, :40].sum(axis=1) > 2, present[:, [2500]].toarray()[:, 0] > 0])
    assert 2500 in telling_columns(present, positive, np.ones((N, 2)))[:2]


def test_only_annotated_rows_count(present):
    positive = present[:, [7]].toarray() > 0
    annotated = np.random.default_rng(2).random((N, 1)) < 0.5
    expected = telling_columns(present[annotated[:, 0]], positive[annotated[:, 0]], np.ones((annotated.sum(), 1)))
    wrong = np.where(annotated, positive, ~positive)
    np.testing.assert_array_equal(telling_columns(present, wrong, annotated.astype(float)), expected)


def test_copies_are_no_evidence():
    present = scipy.sparse.csr_array(np.eye(N, N_COLUMNS))
    positive = present[:, [0]].toarray() > 0
    rows = np.r_[np.zeros(100, dtype=int), np.arange(1, N)]
    weight = np.r_[np.full(100, 0.01), np.ones(N - 1)][:, None]
    assert len(telling_columns(present[rows], positive[rows], np.ones((len(rows), 1)))) == 1
    assert not len(telling_columns(present[rows], positive[rows], weight))


def test_constant_labels_tell_nothing(present):
    positive = np.column_stack([np.ones(N), np.zeros(N)]) > 0
    assert not len(telling_columns(present, positive, np.ones((N, 2))))
