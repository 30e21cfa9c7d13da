"""Implications against their definition, on trees whose implications are known and on labels that have none."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rungwise.fitting import implications
from rungwise.fitting.implications import find_implications


def find(labels, annotated=None, unit=None):
    """Return the set of pairs found in 0/1 labels, (n, n_labels)."""
    labels = np.asarray(labels)
    weights = torch.ones(labels.shape) if annotated is None else torch.as_tensor(annotated).float()
    unit = torch.arange(len(labels)) if unit is None else torch.as_tensor(unit)
    pairs = find_implications(torch.as_tensor(2.0 * labels - 1), weights, unit)
    assert pairs.dtype == np.int64
    assert pairs.shape[1:] == (2,)
    return {tuple(pair) for pair in pairs.tolist()}


def make_tree(n_rows, n_labels, seed, share=0.6):
    """Return the labels of a random tree, and the pairs of each label and its ancestors."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n_rows, n_labels)) < share
    ancestors = [[] for _ in range(n_labels)]
    for j in range(1, n_labels):
        above = int(rng.integers(j))
        labels[:, j] &= labels[:, above]
        ancestors[j] = [above, *ancestors[above]]
    return labels.astype(int), {(j, above) for j in range(n_labels) for above in ancestors[j]}


@pytest.mark.parametrize("seed", range(5))
def test_tree_is_found(seed):
    labels, pairs = make_tree(2000, 20, seed)
    assert find(labels) == {(child, parent) for child, parent in pairs if labels[:, child].sum() > 10}


@pytest.mark.parametrize("seed", range(5))
def test_half_of_the_annotations_suffice(seed):
    labels, pairs = make_tree(4000, 12, seed)
    annotated = np.random.default_rng(seed + 100).random(labels.shape) < 0.5
    found = find(np.where(annotated, labels, 1 - labels), annotated)
    assert found == {(child, parent) for child, parent in pairs if labels[:, child].sum() > 30}


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_labels_that_do_not_know_of_each_other_imply_nothing(share):
    rng = np.random.default_rng(0)
    found = [find(rng.random((n, 60)) < share) for n in (5, 20, 60, 200)]
    # Without negatives or positives, or with a few, labels violate nothing by chance.
    assert sum(map(len, found)) == 0


def test_siblings_below_a_rare_parent_do_not_imply_each_other():
    rng = np.random.default_rng(0)
    parent = np.arange(3000) < 30
    children = (rng.random((3000, 20)) < rng.uniform(0.1, 0.9, size=20)) & parent[:, None]
    found = find(np.column_stack([parent, children]))
    assert found <= {(child, 0) for child in range(1, 21)}
    assert len(found) > 15


def test_equivalent_labels_imply_each_other():
    label = np.random.default_rng(0).integers(0, 2, size=60)
    assert find(np.column_stack([label, 1 - label, label])) == {(0, 2), (2, 0)}


def test_one_contradiction_is_enough():
    labels, _ = make_tree(500, 2, 0)
    assert find(labels) == {(1, 0)}
    labels[7] = [0, 1]
    assert find(labels) == set()
    unannotated = np.ones(labels.shape)
    unannotated[7, 0] = 0
    assert find(labels, unannotated) == {(1, 0)}


def test_copies_of_a_row_are_no_evidence():
    labels = np.array([[1, 1], [0, 0]] * 2)
    assert find(np.tile(labels, (50, 1))) == {(0, 1), (1, 0)}
    assert find(np.tile(labels, (50, 1)), unit=np.tile(np.arange(4), 50)) == set()


def test_weaker_link_of_a_chain_that_a_row_contradicts_is_given_up():
    rng = np.random.default_rng(0)
    top = rng.random(1000) < 0.5
    middle = top & (rng.random(1000) < 0.5)
    rare = middle & (rng.random(1000) < 0.1)
    labels, annotated = np.column_stack([top, middle, rare]).astype(int), np.ones((1000, 3))
    assert find(labels) == {(1, 0), (2, 0), (2, 1)}
    labels[0], annotated[0] = [0, 0, 1], [1, 0, 1]
    assert find(labels, annotated) == {(1, 0)}


def test_rows_may_be_taken_a_few_at_a_time(monkeypatch):
    labels, _ = make_tree(500, 10, 0)
    annotated = np.random.default_rng(1).random(labels.shape) < 0.7
    expected = find(labels, annotated)
    assert len(expected) > 5
    monkeypatch.setattr(implications, "_ROWS", 7)
    assert find(labels, annotated) == expected


@given(st.integers(0, 10_000))
def test_what_is_found_is_closed_and_never_contradicted(seed):
    rng = np.random.default_rng(seed)
    labels, _ = make_tree(60, 8, seed, share=0.8)
    labels = np.column_stack([labels, labels[:, rng.integers(0, 8, size=3)]])
    annotated = rng.random(labels.shape) < 0.7
    found = find(labels, annotated)
    for child, parent in found:
        assert child != parent
        both = annotated[:, child] & annotated[:, parent]
        assert not (both & (labels[:, child] == 1) & (labels[:, parent] == 0)).any()
        assert {(child, further) for middle, further in found if middle == parent and further != child} <= found
