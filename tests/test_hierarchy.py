import networkx as nx
import numpy as np
import pytest

from rungwise.hierarchy import LEVEL_TOLERANCE, MIN_GAIN, PARENT_SHARE, Hierarchy, find_levels


def example():
    # Rows: features u, v; labels a (level 1), b (level 2), c (level 2), never.
    importance = np.array(
        [
            [1.0, 0.1, 0.0, 9.0],
            [PARENT_SHARE - 0.01, 0.0, 0.0, 9.0],
            [5.0, 0.4, 0.5, 9.0],
            [5.0, 5.0, 5.0, 9.0],
            [5.0, 5.0, 5.0, 9.0],
            [5.0, 5.0, 5.0, 9.0],
        ]
    )
    errors, by_frequency = np.array([0, 0.1, 0.2, 0.5]), np.array([0.5, 0.4, 0.3, 0.5])
    return Hierarchy(("u", "v"), ("a", "b", "c", "never"), np.array([1, 2, 2, 0]), importance, errors, by_frequency)


def test_parents_are_inputs_and_lower_labels_in_order_of_importance():
    hierarchy = example()
    assert hierarchy.parents("a") == ["u"]
    assert hierarchy.parents("b") == ["a", "u"]
    assert hierarchy.parents("c") == ["a"]
    assert hierarchy.parents(1) == hierarchy.parents("b")


def test_label_never_learned_has_no_parents():
    assert example().parents("never") == []


def test_entry_that_is_not_missed_is_no_parent():
    hierarchy = Hierarchy(("u",), ("a",), np.array([1]), np.array([[-0.5], [1.0]]), np.zeros(1), np.ones(1))
    assert hierarchy.parents("a") == []


def test_edges_are_the_parents_with_their_importance():
    assert example().edges == [("u", "a", 1.0), ("a", "b", 0.4), ("u", "b", 0.1), ("a", "c", 0.5)]


def test_unknown_label_is_refused_with_the_known_ones():
    with pytest.raises(KeyError, match="no label is called 'z'; the labels are a, b, c, never"):
        example().parents("z")


def test_graph_holds_every_name_and_the_edges():
    graph = example().to_networkx()
    assert nx.is_directed_acyclic_graph(graph)
    assert graph.number_of_nodes() == 6
    assert graph.nodes["label", "b"] == {"name": "b", "level": 2}
    assert graph.nodes["feature", "v"] == {"name": "v", "level": 0}
    edges = [(a[1], b[1], data["importance"]) for a, b, data in graph.edges(data=True)]
    assert sorted(edges) == sorted(example().edges)


@pytest.mark.parametrize("seed", range(10))
def test_graph_has_no_cycles_whatever_the_importance(seed):
    rng = np.random.default_rng(seed)
    names = tuple("abcdefgh")
    hierarchy = Hierarchy(names[:3], names, rng.integers(0, 4, 8), rng.normal(size=(11, 8)), np.zeros(8), np.zeros(8))
    graph = hierarchy.to_networkx()
    assert nx.is_directed_acyclic_graph(graph)
    # A label may be called as a feature is.
    assert graph.number_of_nodes() == 11
    assert graph.number_of_edges() == len(hierarchy.edges)
    for (kind, _), child in graph.edges:
        assert child[0] == "label"
        assert kind in ("feature", "label")
    assert all(graph.nodes[parent]["level"] < graph.nodes[child]["level"] for parent, child in graph.edges)


def test_frame_has_a_row_for_each_label_and_ends_with_those_never_learned():
    frame = example().to_frame()
    assert frame.columns.tolist() == ["label", "level", "parents", "formula", "honest_error", "frequency_error"]
    assert frame["label"].tolist() == ["a", "b", "c", "never"]
    assert frame["level"].tolist() == [1, 2, 2, 0]
    assert frame["parents"].tolist() == [["u"], ["a", "u"], ["a"], []]
    assert frame["honest_error"].tolist() == [0, 0.1, 0.2, 0.5]
    assert frame["frequency_error"].tolist() == [0.5, 0.4, 0.3, 0.5]


def test_text_lists_levels_from_the_lowest():
    assert str(example()) == "level 1\n  a  <- u\nlevel 2\n  b  <- a, u\n  c  <- a\nnever learned\n  never"


def test_level_is_the_first_block_within_the_tolerance_of_the_final_loss():
    prior = np.array([1.0, 1.0, 1.0, 1.0])
    edge = LEVEL_TOLERANCE * 0.99
    losses = np.array([[0.0, 0.5, 0.9, edge], [0.0, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert find_levels(losses, prior).tolist() == [1, 2, 3, 1]


def test_label_that_hardly_beats_its_frequency_was_never_learned():
    prior = np.array([1.0, 1.0, 1.0])
    losses = np.array([[1.0, 1 - MIN_GAIN / 2, 1.0], [1.0, 1 - MIN_GAIN / 2, 1 - 2 * MIN_GAIN]])
    assert find_levels(losses, prior).tolist() == [0, 0, 2]


def test_without_blocks_no_label_was_learned():
    assert find_levels(np.empty((0,)), np.ones(3)).tolist() == [0, 0, 0]
