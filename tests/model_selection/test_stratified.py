import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_matrix
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from rungwise.model_selection import MultilabelStratifiedKFold

LABELS = hnp.arrays(
    float, st.tuples(st.integers(6, 30), st.integers(1, 5)), elements=st.sampled_from([0.0, 1.0, np.nan])
)


def draw(n=600, n_labels=12, missing=0.0, seed=0):
    """Return labels, some of them rare, that depend on each other, and that many of them not annotated."""
    rng = np.random.default_rng(seed)
    common = rng.random((n, 1)) < 0.5
    Y = (rng.random((n, n_labels)) < np.geomspace(0.02, 0.9, n_labels) * (0.5 + common)).astype(float)
    return np.where(rng.random(Y.shape) < missing, np.nan, Y)


def held_out(splitter, Y, groups=None):
    return [test for _, test in splitter.split(Y, Y, groups)]


def imbalance(Y, folds):
    """Return how far a fold's count is from the mean of the folds: mean over folds, classes and labels."""
    counts = np.array([[(Y[rows] == 1).sum(axis=0), (Y[rows] == 0).sum(axis=0)] for rows in folds])
    return np.abs(counts - counts.mean(axis=0)).mean()


@given(Y=LABELS, n_splits=st.integers(2, 6), shuffle=st.booleans())
def test_every_row_is_held_out_once(Y, n_splits, shuffle):
    splits = list(MultilabelStratifiedKFold(n_splits, shuffle=shuffle, random_state=0).split(Y, Y))
    assert len(splits) == n_splits
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in splits])), np.arange(len(Y)))
    for train, test in splits:
        assert len(test) > 0
        np.testing.assert_array_equal(np.union1d(train, test), np.arange(len(Y)))
        assert len(train) + len(test) == len(Y)


@settings(max_examples=30)
@given(Y=LABELS, n_splits=st.integers(2, 3), data=st.data())
def test_rows_of_a_group_stay_together(Y, n_splits, data):
    groups = np.array(data.draw(st.lists(st.sampled_from("abcde"), min_size=len(Y), max_size=len(Y))))
    if len(set(groups)) < n_splits:
        return
    folds = held_out(MultilabelStratifiedKFold(n_splits), Y, groups)
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(len(Y)))
    assert sum(len(set(groups[rows])) for rows in folds) == len(set(groups))


@pytest.mark.parametrize("missing", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_labels_are_balanced_better_than_by_chance(missing, seed):
    Y = draw(missing=missing, seed=seed)
    ours = imbalance(Y, held_out(MultilabelStratifiedKFold(5, shuffle=True, random_state=seed), Y))
    chance = imbalance(Y, held_out(KFold(5, shuffle=True, random_state=seed), Y))
    assert ours < 0.8  # counts are whole numbers, so that even the best folds are a fraction off
    assert ours < 0.3 * chance


@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_groups_are_balanced_better_than_by_size_alone(missing):
    Y = draw(missing=missing)
    groups = np.random.default_rng(0).integers(0, 120, len(Y))
    ours = imbalance(Y, held_out(MultilabelStratifiedKFold(5), Y, groups))
    assert ours < 0.6 * imbalance(Y, held_out(GroupKFold(5), Y, groups))


def test_label_with_as_many_positives_as_folds_has_one_in_each():
    Y = np.zeros((200, 3))
    for j, rows in enumerate(np.random.default_rng(0).permutation(200)[:15].reshape(3, 5)):
        Y[rows, j] = 1
    for rows in held_out(MultilabelStratifiedKFold(5), Y):
        np.testing.assert_array_equal(Y[rows].sum(axis=0), [1, 1, 1])


def test_rare_annotated_negatives_are_spread_as_rare_positives_are():
    Y = np.full((100, 2), np.nan)
    Y[:50, 0] = 1
    Y[[3, 14, 15, 26, 35], 0] = 0
    Y[:, 1] = 1
    for rows in held_out(MultilabelStratifiedKFold(5), Y):
        assert (Y[rows, 0] == 0).sum() == 1
        assert (Y[rows, 0] == 1).sum() == 9


def test_one_complete_label_is_split_as_scikit_learn_does():
    y = (np.random.default_rng(0).random(103) < 0.3).astype(int)
    ours = held_out(MultilabelStratifiedKFold(4), y[:, None])
    theirs = [test for _, test in StratifiedKFold(4).split(y, y)]
    assert sorted(y[rows].sum() for rows in ours) == sorted(y[rows].sum() for rows in theirs)
    assert {len(rows) for rows in ours} <= {25, 26}


def test_same_seed_gives_the_same_folds_and_another_seed_others():
    Y = draw(n=200, n_labels=40, missing=0.5)  # rows that all differ

    def folds(**parameters):
        return [rows.tolist() for rows in held_out(MultilabelStratifiedKFold(3, **parameters), Y)]

    assert folds() == folds()
    assert folds(shuffle=True, random_state=1) == folds(shuffle=True, random_state=1)
    assert folds(shuffle=True, random_state=1) != folds(shuffle=True, random_state=2)
    assert folds(shuffle=True, random_state=1) != folds()


@pytest.mark.parametrize(
    "write",
    [
        lambda Y: 2 * Y - 1,
        lambda Y: pd.DataFrame(Y, columns=[f"l{j}" for j in range(Y.shape[1])]).astype("Int8"),
        lambda Y: Y.tolist(),
    ],
)
def test_it_does_not_matter_how_labels_are_written(write):
    Y = draw(n=60, missing=0.2)
    splitter = MultilabelStratifiedKFold(3)
    for a, b in zip(held_out(splitter, Y), held_out(splitter, write(Y)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_sparse_labels_are_split_as_dense_ones():
    Y = draw(n=60)
    splitter = MultilabelStratifiedKFold(3)
    for a, b in zip(held_out(splitter, Y), held_out(splitter, csr_matrix(Y)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_number_of_folds_is_known_without_data():
    assert MultilabelStratifiedKFold(7).get_n_splits() == 7
    assert (
        repr(MultilabelStratifiedKFold(7)) == "MultilabelStratifiedKFold(n_splits=7, random_state=None, shuffle=False)"
    )


@pytest.mark.parametrize(
    ("parameters", "y", "groups", "message"),
    [
        ({"n_splits": 1}, np.eye(4), None, "n_splits must be a whole number of at least 2, however: n_splits=1"),
        ({"n_splits": 5}, np.eye(4), None, "at least n_splits=5 rows, however: 4"),
        ({"n_splits": 3}, np.eye(4), [0, 0, 1, 1], "at least n_splits=3 groups, however: 2"),
        ({"n_splits": 2}, None, None, "needs the labels, however: y=None"),
        ({"n_splits": 2}, np.zeros(4), None, r"shape \(n_samples, n_labels\), however: \(4,\)"),
        ({"n_splits": 2}, 3 * np.eye(4), None, r"has \[3.0\]"),
    ],
)
def test_what_cannot_be_split_is_refused(parameters, y, groups, message):
    with pytest.raises(ValueError, match=message):
        next(MultilabelStratifiedKFold(**parameters).split(np.zeros((4, 1)), y, groups))
