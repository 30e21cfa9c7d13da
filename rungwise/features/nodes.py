"""Decision trees as tensors: which leaf each row reaches, and what the splits on each stream entry are worth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from rungwise.features.opinions import express

# Rows that descend the trees together: their places in all trees stay in a core's cache.
_CHUNK = 512


class TreeNodes(nn.Module):
    """The nodes of some trees, one tree after another, whose leaves tell of labels.

    Parameters
    ----------
    tensors : dict of str to Tensor
        ``root`` of shape (n_trees,), int64: the first node of each tree. ``feature``, (n_nodes,), int64: the stream
        entry that an inner node asks for; -1 at a leaf. ``threshold``, (n_nodes,): rows with a value of at most this
        go left. ``left`` and ``right``, (n_nodes,), int64: children; for a leaf, ``left`` is its number among the
        leaves. And what a subclass adds.
    link : {"clip", "tanh"}
    """

    root: Tensor
    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor

    def __init__(self, tensors: dict[str, Tensor], link: str) -> None:
        super().__init__()
        self.link = link
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    @staticmethod
    def zeros(n_trees: int, n_nodes: int) -> dict[str, Tensor]:
        """Return nodes to be filled by ``load_state_dict``."""
        sizes = {"root": n_trees, "feature": n_nodes, "left": n_nodes, "right": n_nodes}
        integers = {name: torch.zeros(size, dtype=torch.long) for name, size in sizes.items()}
        return {**integers, "threshold": torch.zeros(n_nodes)}

    def forward(self, stream: Tensor) -> Tensor:
        """Return an opinion about each label, (n, n_labels), for a stream of shape (n, n_entries)."""
        probability = torch.cat([self.probability(self.leaves(rows)) for rows in stream.split(_CHUNK)])
        return express(probability.to(stream.dtype), self.link)

    def probability(self, leaves: Tensor) -> Tensor:
        """Return the probability of each label, (n, n_labels), for the leaves that rows reach, (n, n_trees)."""
        raise NotImplementedError

    def leaves(self, stream: Tensor) -> Tensor:
        """Return the leaf that each row reaches in each tree, (n, n_trees), for a stream of shape (n, n_entries)."""
        n_trees = len(self.root)
        stream = stream.float()  # the precision in which the trees were grown
        node = self.root.repeat(len(stream))
        moving = torch.arange(len(node), device=node.device)
        while True:
            at = node[moving]
            column = self.feature[at]
            inner = column >= 0
            if not inner.any():
                return self.left[node].view(-1, n_trees)
            moving, at, column = moving[inner], at[inner], column[inner]
            values = stream[torch.div(moving, n_trees, rounding_mode="floor"), column]
            node[moving] = torch.where(values <= self.threshold[at], self.left[at], self.right[at])


def node_tensors(trees: Sequence[Any]) -> dict[str, Tensor]:
    """Return the tensors of `TreeNodes` for the ``tree_`` of some trees that scikit-learn grew."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("root", "feature", "threshold", "left", "right")}
    n_nodes, n_leaves = 0, 0
    for tree in trees:
        is_leaf = is_leaf_node(tree)
        parts["root"].append(np.array([n_nodes]))
        parts["feature"].append(np.where(is_leaf, -1, tree.feature))
        parts["threshold"].append(_round_down(tree.threshold))
        number = n_leaves + np.cumsum(is_leaf) - 1
        parts["left"].append(np.where(is_leaf, number, n_nodes + tree.children_left))
        parts["right"].append(np.where(is_leaf, 0, n_nodes + tree.children_right))
        n_nodes, n_leaves = n_nodes + tree.node_count, n_leaves + int(is_leaf.sum())
    joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    dtypes = {name: np.float32 if name == "threshold" else np.int64 for name in joined}
    return {name: torch.from_numpy(array.astype(dtypes[name])) for name, array in joined.items()}


def is_leaf_node(tree: Any) -> np.ndarray:
    """Return which nodes of a ``tree_`` are leaves, (n_nodes,)."""
    return tree.children_left < 0


def saved_by_splits(
    tree: Any, values: np.ndarray, drawn: np.ndarray, left_out: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Return how much squared error the splits on each entry save on rows that were left out, (n_entries, n_targets).

    The out-of-bag decrease of impurity (Li, Wang, Basu, Kumbier and Yu, 2019): without the preference of the usual one
    for entries of many values. Splits that tell nothing save about 0, and often less.

    Parameters
    ----------
    tree : object
        The ``tree_`` of a tree that scikit-learn grew.
    values : ndarray of shape (n, n_entries), single precision
    drawn, left_out : ndarray of shape (n,)
        Weights of the rows that the tree was grown on, and of those that judge it.
    targets : ndarray of shape (n, n_targets)
    """
    visits = sparse.csr_array(tree.decision_path(values)).T
    mean = (visits @ (drawn[:, None] * targets)) / np.maximum(visits @ drawn, 1e-300)[:, None]
    out = visits @ (left_out[:, None] * targets)
    parent = np.flatnonzero(~is_leaf_node(tree))
    saved = np.zeros((values.shape[1], targets.shape[1]))
    for child in (tree.children_left[parent], tree.children_right[parent]):
        np.add.at(saved, tree.feature[parent], (mean[child] - mean[parent]) * out[child])
    return saved


def _round_down(threshold: np.ndarray) -> np.ndarray:
    """Return the largest single-precision numbers that do not exceed the thresholds: the same rows go left."""
    rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)
