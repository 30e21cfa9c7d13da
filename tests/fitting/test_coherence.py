import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rungwise.fitting import coherence
from rungwise.fitting.coherence import make_coherent


def draw(seed, n_rows=40, n_labels=12, share=0.2):
    """Return scores with ties, and the implications of a random graph, which may hold equivalences."""
    rng = np.random.default_rng(seed)
    graph = nx.from_numpy_array(rng.random((n_labels, n_labels)) < share * rng.random(), create_using=nx.DiGraph)
    closed = np.array([pair for pair in nx.transitive_closure(graph).edges if pair[0] != pair[1]], dtype=np.int64)
    return rng.normal(size=(n_rows, n_labels)).round(1), closed.reshape(-1, 2)


@given(st.integers(0, 10_000))
def test_scores_are_the_middle_of_ancestors_minimum_and_descendants_maximum(seed):
    scores, implications = draw(seed)
    found = make_coherent(scores, implications)
    for label in range(scores.shape[1]):
        above = [label, *implications[implications[:, 0] == label, 1]]
        below = [label, *implications[implications[:, 1] == label, 0]]
        middle = (scores[:, above].min(axis=1) + scores[:, below].max(axis=1)) / 2
        np.testing.assert_array_equal(found[:, label], middle)


@given(st.integers(0, 10_000))
def test_no_implication_is_violated_and_coherent_scores_stay(seed):
    scores, implications = draw(seed)
    found = make_coherent(scores, implications)
    child, parent = implications.T
    assert (found[:, child] <= found[:, parent]).all()
    np.testing.assert_array_equal(make_coherent(found, implications), found)
    assert found.shape == scores.shape


def test_of_one_implication_it_is_the_nearest():
    scores = np.random.default_rng(0).normal(size=(200, 2))
    found = make_coherent(scores, np.array([[1, 0]]))
    # On a fine grid of coherent scores none is nearer.
    values = np.linspace(-4, 4, 161)
    grid = np.array([(parent, child) for parent in values for child in values if child <= parent])
    nearest = np.square(grid[None] - scores[:, None]).sum(axis=2).min(axis=1)
    assert (np.square(found - scores).sum(axis=1) <= nearest + 1e-12).all()


def test_equivalent_labels_get_one_score():
    found = make_coherent(np.array([[3.0, 1.0, 9.0]]), np.array([[0, 1], [1, 0]]))
    np.testing.assert_array_equal(found, [[2, 2, 9]])


@pytest.mark.parametrize("entries", [1, 100])
def test_rows_may_be_taken_a_few_at_a_time(entries, monkeypatch):
    scores, implications = draw(1)
    expected = make_coherent(scores, implications)
    monkeypatch.setattr(coherence, "_ENTRIES", entries)
    np.testing.assert_array_equal(make_coherent(scores, implications), expected)


def test_without_implications_scores_stay():
    scores = np.eye(3)
    assert make_coherent(scores, np.empty((0, 2), dtype=np.int64)) is scores
