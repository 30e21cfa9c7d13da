"""Boosted trees: hidden units are the leaves of small trees, each grown on what those before it left unexplained.

Where labels follow from the input, boosting (Friedman, 2001) needs fewer examples than a forest, whose leaves are
pure but coarse. Here it is bagged: several boosters, each on a bootstrap sample of its own, of which those that did not
draw an example speak honestly about it. A tree serves all labels at once: it is grown on random sums of their
gradients, as many as matter (Iosipoi and Vakhrushev, 2022), and a leaf takes a Newton step for each label. The gradient
of a label that is not annotated is 0.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from joblib import cpu_count
from scipy import sparse
from scipy.special import expit, logit
from sklearn.tree import DecisionTreeRegressor
from torch import Tensor

from rungwise._validation import check_whole
from rungwise.features.bagging import bootstrap
from rungwise.features.nodes import TreeNodes, is_leaf_node, node_tensors, saved_by_splits
from rungwise.features.opinions import Opinions, Standing, express

# The share of a Newton step that is taken; what is added to its denominator, in examples of curvature 1; and the
# largest Newton step, in log-odds.
_RATE, _RIDGE, _LARGEST_STEP = 0.3, 1.0, 4.0
# Random sums of the labels' gradients that a tree is grown on.
_SUMS = 8
# A tree is grown on so many rows at most; its leaves' steps follow from all that were drawn.
_SPLIT_ROWS = 4000
# Boosting ends when honest losses have not fallen for so many rounds.
_PATIENCE = 10
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

    def probability(self, leaves: Tensor) -> Tensor:
        """Return the probability that belongs to the sum of the leaves' steps; see `TreeNodes.probability`."""
        return torch.sigmoid(torch.nn.functional.embedding_bag(leaves, self.step, mode="sum") + self.constant)


@dataclass(frozen=True)
class BoostedFeatures:
    """The feature map that boosts trees for every block.

    Parameters
    ----------
    n_boosters : int, at least 2
        Each row is left out by more than a third of them on average, and by one at least.
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
        examples, place = _Examples.of(stream, objective, grouping)
        seeds = torch.randint(2**31 - 1, (self.n_boosters + 1,), generator=generator).tolist()
        counts = _draw(self.n_boosters, examples.unit, examples.weights, np.random.RandomState(seeds[-1]))
        boosters = [
            _Booster(examples, count, self.max_leaves, np.random.RandomState(seed))
            for count, seed in zip(counts, seeds[:-1], strict=True)
        ]
        n_rounds, honest_log_odds = self._boost(boosters, examples)
        if not n_rounds:
            return None
        for booster in boosters:
            booster.keep(n_rounds)
        link = objective.loss.link
        layer = BoostedLayer(_tensors(boosters), link).to(stream.device)
        some = boosters[:_IMPORTANCE_BOOSTERS]

        def opinion(log_odds: np.ndarray) -> Tensor:
            return express(torch.from_numpy(expit(log_odds)).to(stream), link)

        def honest_at(entries: Tensor, rows: Tensor) -> Tensor:
            values = entries.cpu().float().numpy()
            log_odds = [booster.log_odds_of(values) for booster in boosters]
            return opinion(_of_left_out(boosters, log_odds, place[rows].cpu().numpy()))

        def importance(labels: Tensor) -> Tensor:
            saved = sum(booster.saved(labels.cpu().numpy()) for booster in some)
            return torch.from_numpy(np.maximum(saved, 0)).to(stream)

        return Opinions(layer, opinion(honest_log_odds)[place], honest_at, importance)

    def _boost(self, boosters: Sequence["_Booster"], examples: "_Examples") -> tuple[int, np.ndarray]:
        """Return after how many rounds honest losses are smallest, and the honest log-odds, (n, n_labels), then."""
        weights = examples.weights[:, None] * examples.share

        def judge() -> tuple[float, np.ndarray]:
            honest = _of_left_out(boosters, [booster.log_odds for booster in boosters])
            return float((weights * (np.logaddexp(0, honest) - examples.positives * honest)).sum()), honest

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


@dataclass(frozen=True)
class _Examples:
    """The distinct training rows of each unit.

    Copies of a row are merged, for which leaves are split first depends on rounding errors, which they would bring.

    Attributes
    ----------
    values : ndarray of shape (n, n_entries), single precision
    positives : ndarray of shape (n, n_labels)
        Mean labels of the copies that are annotated, in [0, 1].
    weights : ndarray of shape (n,)
    share : ndarray of shape (n, n_labels)
        Of the row's weight, what a label's annotations have: 0 where there are none.
    unit : ndarray of shape (n,)
    """

    values: np.ndarray
    positives: np.ndarray
    weights: np.ndarray
    share: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(cls, stream: Tensor, objective: Any, grouping: Any) -> tuple["_Examples", Tensor]:
        """Return the examples of an `Objective`, and the place of each training row among them, (n,)."""
        # Copies in other units stay apart, as their labels may only be told of what other units tell.
        _, content = torch.unique(torch.stack([grouping.unit, grouping.content]), dim=1, return_inverse=True)
        first, place = replace(grouping, content=content).copies()

        def total(values: Tensor) -> np.ndarray:
            return torch.zeros_like(values[first]).index_add_(0, place, values).cpu().double().numpy()

        annotated = total(objective.weights)
        positives = total(objective.weights * (1 + objective.targets) / 2) / np.maximum(annotated, 1e-300)
        weights = annotated.max(1)
        share = annotated / np.maximum(weights, 1e-300)[:, None]
        values, unit = stream[first].cpu().float().numpy(), grouping.unit[first].cpu().numpy()
        return cls(values, positives, weights, share, unit), place


def _draw(n_boosters: int, unit: np.ndarray, weights: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Return how often each booster draws each row, (n_boosters, n): bootstrap samples.

    Units that all have drawn are taken from one again, so that somebody speaks honestly about them.
    """
    counts = np.stack([bootstrap(unit, weights, random) for _ in range(n_boosters)])
    _, first, place = np.unique(unit, return_index=True, return_inverse=True)
    counts = counts[:, first]
    for everywhere in np.flatnonzero((counts > 0).all(0)):
        with_others = np.flatnonzero((counts > 0).sum(1) > 1)
        if len(with_others):
            counts[random.choice(with_others), everywhere] = 0
    return counts[:, place]


class _Booster:
    """Trees that are grown one after another, and what they say of the training rows so far.

    Parameters
    ----------
    examples : _Examples
    count : ndarray of shape (n,)
        How often each row was drawn.
    max_leaves : int
    random : RandomState
    """

    def __init__(self, examples: _Examples, count: np.ndarray, max_leaves: int, random: np.random.RandomState) -> None:
        self.examples, self.count, self.max_leaves, self.random = examples, count, max_leaves, random
        self.drawn = np.flatnonzero(count * examples.weights)
        self.weights = (count * examples.weights)[self.drawn]
        own = self.weights[:, None] * examples.share[self.drawn]
        # As if half an example more had the label, and half an example more had it not.
        self.constant = logit(((own * examples.positives[self.drawn]).sum(0) + 0.5) / (own.sum(0) + 1))
        self.log_odds = np.tile(self.constant, (len(count), 1))
        self.trees: list[Any] = []
        self.steps: list[np.ndarray] = []

    def grow(self) -> None:
        """Add a tree."""
        examples, drawn = self.examples, self.drawn
        probability, share = expit(self.log_odds[drawn]), examples.share[drawn]
        gradient, curvature = share * (examples.positives[drawn] - probability), share * probability * (1 - probability)
        outputs = gradient
        if outputs.shape[1] > _SUMS:
            outputs = outputs @ self.random.standard_normal((outputs.shape[1], _SUMS))
        some = np.arange(len(drawn))
        if len(some) > _SPLIT_ROWS:
            # Rows are sorted by fold: the first ones would be those of some folds only.
            some = self.random.permutation(some)[:_SPLIT_ROWS]
        n_entries = examples.values.shape[1]
        grown = DecisionTreeRegressor(
            max_leaf_nodes=self.max_leaves,
            max_features=min(n_entries, 2 * math.isqrt(n_entries)),
            random_state=self.random.randint(2**31 - 1),
        )
        # What it would check of every tree's rows holds for all: single precision, without gaps.
        values, weights = examples.values[drawn[some]], self.weights[some]
        grown.fit(values, outputs[some], sample_weight=weights, check_input=False)
        tree = grown.tree_
        leaf = tree.apply(examples.values)
        shape = (tree.node_count, len(drawn))
        members = sparse.csr_array((self.weights, (leaf[drawn], np.arange(len(drawn)))), shape=shape)
        step = (members @ gradient) / (members @ curvature + _RIDGE)
        step = _RATE * np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        self.log_odds += step[leaf]
        self.trees.append(tree)
        self.steps.append(step)

    def keep(self, n_rounds: int) -> None:
        """Keep the first trees only, and grow no more."""
        del self.trees[n_rounds:], self.steps[n_rounds:], self.log_odds

    def log_odds_of(self, values: np.ndarray) -> np.ndarray:
        """Return what it says of rows of shape (n, n_entries), single precision: (n, n_labels)."""
        log_odds = np.tile(self.constant, (len(values), 1))
        for tree, step in zip(self.trees, self.steps, strict=True):
            log_odds += step[tree.apply(values)]
        return log_odds

    def saved(self, labels: np.ndarray) -> np.ndarray:
        """Return how much the splits on each entry save on rows that were not drawn, (n_entries, n_some).

        What is saved is squared error of what the trees before left unexplained of some labels.
        """
        examples = self.examples
        drawn, left_out = self.count * examples.weights, (self.count == 0) * examples.weights
        positives, share = examples.positives[:, labels], examples.share[:, labels]
        log_odds = np.tile(self.constant[labels], (len(positives), 1))
        saved = np.zeros((examples.values.shape[1], len(labels)))
        for tree, step in zip(self.trees, self.steps, strict=True):
            saved += saved_by_splits(tree, examples.values, drawn, left_out, share * (positives - expit(log_odds)))
            log_odds += step[tree.apply(examples.values)][:, labels]
        return saved


def _of_left_out(
    boosters: Sequence[_Booster], log_odds: Sequence[np.ndarray], rows: slice | np.ndarray = slice(None)
) -> np.ndarray:
    """Return the mean of what those boosters say of some examples that did not draw them, (n_some, n_labels).

    Parameters
    ----------
    boosters : sequence of _Booster
    log_odds : sequence of ndarray of shape (n_some, n_labels)
        What each of them says.
    rows : slice or ndarray of shape (n_some,)
        Which examples these are.
    """
    left_out = np.stack([booster.count[rows] == 0 for booster in boosters])
    total = np.zeros_like(log_odds[0])
    for said, own in zip(log_odds, left_out, strict=True):
        total[own] += said[own]
    voices = left_out.sum(0)[:, None]
    # Of one or two units all boosters may have drawn the same: then the labels' frequencies speak.
    constant = np.mean([booster.constant for booster in boosters], axis=0)
    return np.where(voices > 0, total / np.maximum(voices, 1), constant)


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
