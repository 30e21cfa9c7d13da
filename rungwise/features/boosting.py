"""Boosted trees: hidden units are the leaves of small trees, each grown on what those before it left unexplained.

Where labels follow from the input, boosting (Friedman, 2001) needs fewer examples than a forest, whose leaves are
pure but coarse. Here it is bagged: several boosters, each on a bootstrap sample of its own, of which those that did not
draw an example speak honestly about it. A tree serves all labels at once: it is grown on random sums of their
gradients, as many as matter (Iosipoi and Vakhrushev, 2022), and a leaf takes a Newton step for each label.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from joblib import cpu_count
from scipy import sparse
from scipy.special import expit, logit
from sklearn.tree import DecisionTreeRegressor
from torch import Tensor

from rungwise._validation import check_whole
from rungwise.features.nodes import TreeNodes, is_leaf_node, node_tensors, saved_by_splits
from rungwise.features.opinions import Distinct, Opinions, Standing, express

# The share of a Newton step that is taken; what is added to its denominator, in examples of curvature 1; and the
# largest step, in log-odds.
_RATE, _RIDGE, _LARGEST_STEP = 0.3, 1.0, 4.0
# Random sums of the labels' gradients that a tree is grown on.
_SUMS = 8
# A tree is grown on so many rows at most; its leaves' steps follow from all that were drawn.
_SPLIT_ROWS = 4000
# Boosting ends when honest losses have not fallen for so many rounds.
_PATIENCE = 10
# Rows that descend the trees together: their places in all trees stay in a core's cache.
_CHUNK = 512
# Of so many boosters the importance of the stream entries is the sum.
_IMPORTANCE_BOOSTERS = 2


class BoostedLayer(TreeNodes):
    """The mean opinion of some boosters about each label, in [-1, 1] (as log-odds under the link "tanh").

    Their log-odds are a constant and the sum over the leaves, each a 0/1 unit, of a leaf's steps.

    Parameters
    ----------
    tensors : dict of str to Tensor
        Those of `TreeNodes`; ``step`` of shape (n_leaves, n_labels) and ``constant``, (n_labels,).
    link : {"clip", "tanh"}
    """

    kind = "boosted"
    step: Tensor
    constant: Tensor

    def __init__(self, tensors: dict[str, Tensor], link: str) -> None:
        super().__init__(tensors)
        self.link = link

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` needs, beside the tensors, to build this layer again."""
        n_leaves, n_labels = self.step.shape
        sizes = {"n_trees": len(self.root), "n_nodes": len(self.feature), "n_leaves": n_leaves}
        return {**sizes, "n_labels": n_labels, "link": self.link}

    @classmethod
    def from_config(cls, n_trees: int, n_nodes: int, n_leaves: int, n_labels: int, link: str) -> "BoostedLayer":
        """Return a layer of zeros, to be filled by ``load_state_dict``."""
        steps = {"step": torch.zeros(n_leaves, n_labels), "constant": torch.zeros(n_labels)}
        return cls(cls.zeros(n_trees, n_nodes) | steps, link)

    def forward(self, stream: Tensor) -> Tensor:
        """Return an opinion about each label, (n, n_labels), for a stream of shape (n, n_entries)."""
        log_odds = torch.cat(
            [
                torch.nn.functional.embedding_bag(self.leaves(rows), self.step, mode="sum")
                for rows in stream.split(_CHUNK)
            ]
        )
        return express(torch.sigmoid(log_odds + self.constant).to(stream.dtype), self.link)


@dataclass(frozen=True)
class BoostedFeatures:
    """The feature map that boosts trees for every block.

    Parameters
    ----------
    n_boosters : int, at least 2
        Each row is left out by one of them at least, on average by more than a third.
    n_rounds : int, at least 1
        At most so many trees for each booster: rounds end when honest losses fall no more.
    max_leaves : int, at least 2
        Of a tree.
    """

    name: ClassVar[str] = "boosted"
    n_boosters: int = 10
    n_rounds: int = 100
    max_leaves: int = 16

    def __post_init__(self) -> None:
        check_whole("n_boosters", self.n_boosters, 2)
        check_whole("n_rounds", self.n_rounds, 1)
        check_whole("max_leaves", self.max_leaves, 2)

    def fit_honest(
        self, stream: Tensor, generator: torch.Generator, objective: Any, grouping: Any, standing: Standing
    ) -> Opinions | None:
        """Boost trees and return them with honest opinions; see `rungwise.features.HonestFeatureMap`.

        None if no round makes honest losses smaller than those of the labels' frequencies.
        """
        # Copies of a row are merged: growing a tree of few leaves depends on rounding errors, which they would bring.
        distinct = Distinct.of(objective, grouping)
        positives, weights = (part.cpu().double().numpy() for part in (distinct.positives, distinct.weights))
        values, unit = stream[distinct.first].cpu().float().numpy(), grouping.unit[distinct.first].cpu().numpy()
        seeds = torch.randint(2**31 - 1, (self.n_boosters + 1,), generator=generator).tolist()
        counts = _draw(self.n_boosters, unit, weights, np.random.RandomState(seeds[-1]))
        boosters = [
            _Booster(values, positives, count * weights, self.max_leaves, np.random.RandomState(seed))
            for count, seed in zip(counts, seeds[:-1], strict=True)
        ]
        n_rounds, honest = self._boost(boosters, counts == 0, positives, weights)
        if not n_rounds:
            return None
        for booster in boosters:
            booster.keep(n_rounds)
        link = objective.loss.link
        layer = BoostedLayer(_tensors(boosters), link).to(stream.device)

        def importance(labels: Tensor) -> Tensor:
            some = list(zip(boosters, counts, strict=True))[:_IMPORTANCE_BOOSTERS]
            saved = sum(booster.saved((count == 0) * weights, labels.cpu().numpy()) for booster, count in some)
            return torch.from_numpy(np.maximum(saved, 0)).to(stream)

        probability = torch.from_numpy(expit(honest)).to(stream)[distinct.place]
        return Opinions(layer, express(probability, link), importance)

    def _boost(
        self, boosters: Sequence["_Booster"], left_out: np.ndarray, positives: np.ndarray, weights: np.ndarray
    ) -> tuple[int, np.ndarray]:
        """Return after how many rounds honest losses are smallest, and the honest log-odds, (n, n_labels), then."""
        voices = left_out.sum(0)[:, None]
        constant = np.mean([booster.constant for booster in boosters], axis=0)

        def judge() -> tuple[float, np.ndarray]:
            total = np.zeros_like(positives)
            for booster, rows in zip(boosters, left_out, strict=True):
                total[rows] += booster.log_odds[rows]
            # Of few units all may have drawn the same: then the labels' frequencies speak.
            honest = np.where(voices > 0, total / np.maximum(voices, 1), constant)
            return float(weights @ (np.logaddexp(0, honest) - positives * honest).sum(1)), honest

        best_round, (best_loss, best) = 0, judge()
        with ThreadPoolExecutor(cpu_count()) as pool:
            for n_rounds in range(1, self.n_rounds + 1):
                list(pool.map(_Booster.grow, boosters))
                loss, honest = judge()
                if loss < best_loss:
                    best_round, best_loss, best = n_rounds, loss, honest
                elif n_rounds >= best_round + _PATIENCE:
                    break
        return best_round, best


def _draw(n_boosters: int, unit: np.ndarray, weights: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Return how often each booster draws each row, (n_boosters, n): a bootstrap of units.

    Only units of some weight are drawn: where few rows are annotated, a sample of all would often hold none of them.
    Those that all have drawn are taken from one again, so that somebody speaks honestly about them.
    """
    n_units, weighted = int(unit.max()) + 1, np.unique(unit[weights > 0])
    samples = weighted[random.randint(len(weighted), size=(n_boosters, len(weighted)))]
    counts = np.stack([np.bincount(sample, minlength=n_units) for sample in samples])
    if len(weighted) > n_boosters:
        everywhere = np.flatnonzero((counts > 0).all(0))
        counts[random.randint(n_boosters, size=len(everywhere)), everywhere] = 0
    return counts[:, unit]


class _Booster:
    """Trees that are grown one after another, and what they say of the training rows so far.

    Parameters
    ----------
    values : ndarray of shape (n, n_entries), single precision
    positives : ndarray of shape (n, n_labels)
        Probabilities of the labels.
    weights : ndarray of shape (n,)
        0 for the rows that were not drawn.
    """

    def __init__(
        self,
        values: np.ndarray,
        positives: np.ndarray,
        weights: np.ndarray,
        max_leaves: int,
        random: np.random.RandomState,
    ) -> None:
        self.values, self.positives, self.weights = values, positives, weights
        self.max_leaves, self.random = max_leaves, random
        self.drawn = np.flatnonzero(weights)
        mean, total = np.average(positives, axis=0, weights=weights), weights.sum()
        # As if half an example more had the label, and half an example more had it not.
        self.constant = logit((mean * total + 0.5) / (total + 1))
        self.log_odds = np.tile(self.constant, (len(values), 1))
        self.trees: list[Any] = []
        self.steps: list[np.ndarray] = []

    def grow(self) -> None:
        """Add a tree."""
        probability = expit(self.log_odds[self.drawn])
        gradient, curvature = self.positives[self.drawn] - probability, probability * (1 - probability)
        weight, outputs = self.weights[self.drawn], gradient
        if outputs.shape[1] > _SUMS:
            outputs = outputs @ self.random.standard_normal((outputs.shape[1], _SUMS))
        some = np.arange(len(self.drawn))
        if len(some) > _SPLIT_ROWS:
            some = self.random.permutation(some)[:_SPLIT_ROWS]
        n_entries = self.values.shape[1]
        grown = DecisionTreeRegressor(
            max_leaf_nodes=self.max_leaves,
            max_features=min(n_entries, 2 * math.isqrt(n_entries)),
            random_state=self.random.randint(2**31 - 1),
        )
        # What it would check of every tree's rows holds for all: single precision, without gaps.
        grown.fit(self.values[self.drawn[some]], outputs[some], sample_weight=weight[some], check_input=False)
        tree = grown.tree_
        leaf = tree.apply(self.values)
        shape = (tree.node_count, len(self.drawn))
        members = sparse.csr_array((weight, (leaf[self.drawn], np.arange(len(self.drawn)))), shape=shape)
        step = (members @ gradient) / (members @ curvature + _RIDGE)
        step = _RATE * np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        self.log_odds += step[leaf]
        self.trees.append(tree)
        self.steps.append(step)

    def keep(self, n_rounds: int) -> None:
        """Drop the trees after the first ones."""
        del self.trees[n_rounds:], self.steps[n_rounds:]

    def saved(self, left_out: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return how much of the loss of some labels on rows left out the splits on each entry save.

        Parameters
        ----------
        left_out : ndarray of shape (n,)
            Weights of the rows that were not drawn, and 0 for the others.
        labels : ndarray of shape (n_some,)

        Returns
        -------
        saved : ndarray of shape (n_entries, n_some)
        """
        positives = self.positives[:, labels]
        log_odds = np.tile(self.constant[labels], (len(self.values), 1))
        saved = np.zeros((self.values.shape[1], len(labels)))
        for tree, step in zip(self.trees, self.steps, strict=True):
            saved += saved_by_splits(tree, self.values, self.weights, left_out, positives - expit(log_odds))
            log_odds += step[tree.apply(self.values)][:, labels]
        return saved


def _tensors(boosters: Sequence[_Booster]) -> dict[str, Tensor]:
    """Return what `BoostedLayer` is made of: the mean of the boosters' log-odds is a sum over all of their trees."""
    trees = [tree for booster in boosters for tree in booster.trees]
    steps = [step for booster in boosters for step in booster.steps]
    step = np.concatenate([own[is_leaf_node(tree)] for tree, own in zip(trees, steps, strict=True)]) / len(boosters)
    constant = np.mean([booster.constant for booster in boosters], axis=0)
    return {
        **node_tensors(trees),
        "step": torch.from_numpy(step.astype(np.float32)),
        "constant": torch.from_numpy(constant.astype(np.float32)),
    }
