"""Trees: hidden units are the leaves of bagged trees, and their readout the leaves' mean labels.

A tree is grown on a bootstrap sample of the examples, so that the trees that did not draw an example speak honestly
about it (out-of-bag estimates; Breiman, 2001). Copies of an example, and examples of one group, are drawn together.
scikit-learn grows the trees; the fitted layer runs as tensors.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from joblib import cpu_count
from scipy import sparse
from sklearn.tree import DecisionTreeRegressor, ExtraTreeRegressor
from torch import Tensor

from rungwise._validation import check_whole
from rungwise.features.bagging import bootstrap
from rungwise.features.nodes import TreeNodes, is_leaf_node, node_tensors, saved_by_splits
from rungwise.features.opinions import Opinions, Standing, express, filled_targets

# Trees of more labels are grown on random projections of them (Joly, Geurts and Wehenkel, 2014), whose squared
# distances are nearly the same, so that growing costs no more with thousands of labels.
_MAX_OUTPUTS = 64
# Of so many trees the importance of the stream entries is the mean.
_IMPORTANCE_TREES = 20

_KINDS = {"best": DecisionTreeRegressor, "random": ExtraTreeRegressor}


class TreeLayer(TreeNodes):
    """The mean opinion of some trees about each label, in [-1, 1] (as log-odds under the link "tanh").

    It is the sum over the leaves, each a 0/1 unit, of a leaf's mean labels, divided by the number of trees. The means
    are kept sparse: a leaf has few positives, and leaves times labels can be very many.

    Parameters
    ----------
    tensors : dict of str to Tensor
        Those of `TreeNodes`. ``start`` of shape (n_leaves + 1,), int64: where the entries of each leaf begin in
        ``label``, (n_entries,), int64, and ``share``, (n_entries,), the share of the leaf's examples that have it.
    n_labels : int
    link : {"clip", "tanh"}
    """

    kind = "trees"
    start: Tensor
    label: Tensor
    share: Tensor

    def __init__(self, tensors: dict[str, Tensor], n_labels: int, link: str) -> None:
        super().__init__(tensors, link)
        self.n_labels = n_labels

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` needs, beside the tensors, to build this layer again."""
        sizes = {"n_trees": len(self.root), "n_nodes": len(self.feature)}
        sizes |= {"n_leaves": len(self.start) - 1, "n_entries": len(self.label)}
        return {**sizes, "n_labels": self.n_labels, "link": self.link}

    @classmethod
    def from_config(
        cls, n_trees: int, n_nodes: int, n_leaves: int, n_entries: int, n_labels: int, link: str
    ) -> "TreeLayer":
        """Return a layer of zeros, to be filled by ``load_state_dict``."""
        start, label = (torch.zeros(size, dtype=torch.long) for size in (n_leaves + 1, n_entries))
        entries = {"start": start, "label": label, "share": torch.zeros(n_entries)}
        return cls(cls.zeros(n_trees, n_nodes) | entries, n_labels, link)

    def probability(self, leaves: Tensor) -> Tensor:
        """Return the mean of the leaves' shares; see `TreeNodes.probability`."""
        n, n_trees = leaves.shape
        first = self.start[leaves.flatten()]
        length = self.start[leaves.flatten() + 1] - first
        row = torch.arange(n, device=leaves.device).repeat_interleave(n_trees).repeat_interleave(length)
        # The entries of all leaves reached, one leaf after another.
        offset = torch.arange(len(row), device=leaves.device) - (length.cumsum(0) - length).repeat_interleave(length)
        entry = first.repeat_interleave(length) + offset
        total = self.share.new_zeros(n * self.n_labels)
        total.index_add_(0, row * self.n_labels + self.label[entry], self.share[entry])
        return total.view(n, self.n_labels) / n_trees


@dataclass(frozen=True)
class TreeFeatures:
    """The feature map that grows a forest for every block.

    Parameters
    ----------
    n_trees : int, at least 10
    splits : {"best", "random"}
        Whether a split takes the best threshold of an entry (random forests) or one at random (extremely randomised
        trees; Geurts, Ernst and Wehenkel, 2006).
    min_leaf : int, at least 1
        Fewest drawn examples in a leaf: 1 where labels follow from the input, more where they are noisy.
    breadth : int, at least 1
        Of d entries each split tries breadth · ⌊√d⌋, drawn at random, and at most all: more where few entries tell
        much.
    balanced : bool
        Whether labels count about alike where splits are chosen, also those that are rare, and not by their variance.
        With more than 64 labels still to learn it has no effect: most are rare then, and would have rows cut off one
        by one.
    """

    name: ClassVar[str] = "trees"
    n_trees: int = 100
    splits: str = "best"
    min_leaf: int = 1
    breadth: int = 1
    balanced: bool = False

    def __post_init__(self) -> None:
        check_whole("n_trees", self.n_trees, 10)
        check_whole("min_leaf", self.min_leaf, 1)
        check_whole("breadth", self.breadth, 1)
        if self.splits not in _KINDS:
            raise ValueError(f"splits must be one of {sorted(_KINDS)}, however: splits={self.splits!r}")

    def fit_honest(
        self,
        stream: Tensor,
        generator: torch.Generator,
        objective: Any,
        grouping: Any,
        standing: Standing,
    ) -> Opinions:
        """Grow a forest and return it with its out-of-bag opinions; see `rungwise.features.HonestFeatureMap`."""
        targets, row_weights = filled_targets(objective)
        positives, weights = ((1 + targets) / 2).cpu().double().numpy(), row_weights.cpu().double().numpy()
        values, unit = stream.cpu().float().numpy(), grouping.unit.cpu().numpy()
        seeds = torch.randint(2**31 - 1, (self.n_trees,), generator=generator).tolist()
        grow = partial(self._grow, values, positives, weights, unit)
        with ThreadPoolExecutor(cpu_count()) as pool:
            grown = list(pool.map(grow, seeds))
        forest = _Forest(grown, positives, weights)
        link = objective.loss.link
        layer = TreeLayer(forest.tensors(), positives.shape[1], link).to(stream.device)

        def opinion(probability: np.ndarray) -> Tensor:
            return express(torch.from_numpy(probability).to(stream), link)

        def honest_at(entries: Tensor, rows: Tensor) -> Tensor:
            return opinion(forest.out_of_bag(forest.leaves(entries.cpu().float().numpy()), rows.cpu().numpy()))

        def importance(labels: Tensor) -> Tensor:
            return torch.from_numpy(forest.importance(values, labels.cpu().numpy())).to(stream)

        return Opinions(layer, opinion(forest.out_of_bag(forest.leaf)), honest_at, importance)

    def _grow(
        self,
        values: np.ndarray,
        positives: np.ndarray,
        weights: np.ndarray,
        unit: np.ndarray,
        seed: int,
    ) -> "_Grown":
        random = np.random.RandomState(seed)
        count = bootstrap(unit, weights, random)
        drawn = (count > 0) & (weights > 0)
        drawn_weights = (count * weights)[drawn]
        outputs = positives[drawn]
        if outputs.shape[1] > _MAX_OUTPUTS:
            outputs = outputs @ random.standard_normal((outputs.shape[1], _MAX_OUTPUTS))
        elif self.balanced:
            outputs = _balanced(outputs, drawn_weights)
        # In units of weight, so that an example of weight 2 is the example twice; a little less, against rounding.
        share = min(0.5, 0.999 * self.min_leaf / drawn_weights.sum()) if self.min_leaf > 1 else 0.0
        n_tried = min(values.shape[1], self.breadth * math.isqrt(values.shape[1]))
        tree = _KINDS[self.splits](
            max_features=n_tried, min_weight_fraction_leaf=share, random_state=random.randint(2**31 - 1)
        )
        # What it would check of every tree's rows holds for all: single precision, without gaps.
        tree.fit(values[drawn], outputs, sample_weight=drawn_weights, check_input=False)
        return _Grown(tree.tree_, tree.tree_.apply(values), count)


def _balanced(positives: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the labels of drawn rows with about the same variance, found from these rows alone.

    Those of other rows tell nothing, for a tree must not depend on the labels of rows that it speaks honestly about.
    """
    mean = np.average(positives, axis=0, weights=weights)
    variance = np.average((positives - mean) ** 2, axis=0, weights=weights)
    # As if labels varied by one example more, so that constant ones are not divided by 0. And by powers of two: sums of
    # labels stay exact, so that pure nodes are seen to be pure, and no tie between two splits hangs on rounding.
    return positives * 2 ** np.round(-np.log2(variance + 1 / weights.sum()) / 2)


@dataclass(frozen=True)
class _Grown:
    """A tree, with the leaf (a node of it) of every training row and how often each row was drawn."""

    tree: Any
    leaf: np.ndarray
    count: np.ndarray


class _Forest:
    """The grown trees side by side: their leaves' mean labels, and what follows from them for the training rows."""

    def __init__(self, grown: Sequence[_Grown], positives: np.ndarray, weights: np.ndarray) -> None:
        self.grown, self.positives, self.weights = grown, sparse.csr_array(positives), weights
        self.mean = np.average(positives, axis=0, weights=weights)
        self.count = np.stack([tree.count for tree in grown])
        first = np.cumsum([0] + [tree.tree.node_count for tree in grown])
        self.first, self.n_nodes = first[:-1, None], first[-1]
        self.leaf = self._of_all_trees([tree.leaf for tree in grown])
        self.shares = self._node_shares()

    def _of_all_trees(self, leaf: Sequence[np.ndarray]) -> np.ndarray:
        """Return leaves, of each tree (n,), as nodes of all trees together, (n_trees, n)."""
        return np.stack(leaf) + self.first

    def leaves(self, values: np.ndarray) -> np.ndarray:
        """Return the leaf of each tree that rows of shape (n, n_entries), single precision, reach, (n_trees, n)."""
        return self._of_all_trees([tree.tree.apply(values) for tree in self.grown])

    def _node_shares(self) -> sparse.csr_array:
        """Return the mean labels of the drawn rows in each leaf, (n_nodes, n_labels); 0 at inner nodes."""
        tree, row = np.nonzero(self.count * self.weights)
        leaf, weight = self.leaf[tree, row], self.count[tree, row] * self.weights[row]
        share = weight / np.bincount(leaf, weight, minlength=self.n_nodes)[leaf]
        members = sparse.csr_array((share, (leaf, row)), shape=(self.n_nodes, len(self.weights)))
        return sparse.csr_array(members @ self.positives)

    def out_of_bag(self, leaf: np.ndarray, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Return for some training rows the mean over the trees that did not draw them.

        Parameters
        ----------
        leaf : ndarray of shape (n_trees, n_some)
            The leaves that they reach, at their own entries or at others.
        rows : slice or ndarray of shape (n_some,)
            Which training rows these are.

        Returns
        -------
        ndarray of shape (n_some, n_labels)
        """
        left_out = self.count[:, rows] == 0
        tree, row = np.nonzero(left_out)
        asked = sparse.csr_array((np.ones(len(row)), (row, leaf[tree, row])), shape=(leaf.shape[1], self.n_nodes))
        n_trees = left_out.sum(0)[:, None]
        # With few units a row may have been drawn by every tree: then its labels' frequencies speak.
        return np.where(n_trees > 0, (asked @ self.shares).toarray() / np.maximum(n_trees, 1), self.mean)

    def importance(self, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return how much of the out-of-bag loss of some labels the splits on each entry save, (n_entries, n_some)."""
        positives = self.positives[:, labels].toarray() - self.mean[labels]
        some = self.grown[:_IMPORTANCE_TREES]
        saved = np.zeros((values.shape[1], positives.shape[1]))
        for grown in some:
            drawn, left_out = grown.count * self.weights, (grown.count == 0) * self.weights
            saved += saved_by_splits(grown.tree, values, drawn, left_out, positives)
        return np.maximum(saved / len(some), 0)

    def tensors(self) -> dict[str, Tensor]:
        """Return what `TreeLayer` is made of."""
        is_leaf = np.concatenate([is_leaf_node(grown.tree) for grown in self.grown])
        start = np.concatenate([[0], np.cumsum(np.diff(self.shares.indptr)[is_leaf])])
        integers = {"start": start, "label": self.shares.indices}
        return {
            **node_tensors([grown.tree for grown in self.grown]),
            **{name: torch.from_numpy(array.astype(np.int64)) for name, array in integers.items()},
            "share": torch.from_numpy(self.shares.data.astype(np.float32)),
        }
