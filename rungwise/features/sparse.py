"""Sparse features: hidden units that see few stream entries, and the search for those that the labels need.

A literal is a step unit of one stream entry, sign(z_a - t): ±1. The units of a layer are entries as they are, products
of a few literals (with values ±1, a product of two is two ReLU units: z_a z_b = |z_a + z_b| - 1), and thresholds of any
number of literals, clip(w · literals + b), each the difference of two ReLU units.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rungwise._validation import check_whole
from rungwise.features.literals import literal_thresholds
from rungwise.features.screening import Beam, Screen

# Rows that screening looks at: enough to tell a correlation of 0.1 from chance among a million candidates.
_MAX_ROWS = 4096
# Of more literals, those that say most about some label alone are paired.
_MAX_LITERALS = 512
# Pairs kept for each label.
_BEAM = 16


class SparseLayer(nn.Module):
    """A layer of linear units, products of literals and thresholds of literals, in this order.

    Parameters
    ----------
    linear : Tensor of shape (n_linear,), int64
        Stream entries that are units themselves.
    entry, threshold : Tensor of shape (n_literals,), int64 and floating
        Literal l is +1 where stream entry ``entry[l]`` exceeds ``threshold[l]``, else -1.
    products : Tensor of shape (n_products, fan_in), int64
        The literals of each product; n_literals stands for the constant 1, where there are fewer.
    wide_weight, wide_bias : Tensor of shape (n_literals, n_wide) and (n_wide,)
        The thresholds: clip(literals · wide_weight + wide_bias) onto [-1, 1].
    """

    kind = "sparse"
    linear: Tensor
    entry: Tensor
    threshold: Tensor
    products: Tensor
    wide_weight: Tensor
    wide_bias: Tensor

    def __init__(
        self,
        linear: Tensor,
        entry: Tensor,
        threshold: Tensor,
        products: Tensor,
        wide_weight: Tensor,
        wide_bias: Tensor,
    ) -> None:
        super().__init__()
        self.register_buffer("linear", linear)
        self.register_buffer("entry", entry)
        self.register_buffer("threshold", threshold)
        self.register_buffer("products", products)
        self.register_buffer("wide_weight", wide_weight)
        self.register_buffer("wide_bias", wide_bias)

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` needs, beside the tensors, to build this layer again."""
        return {
            "n_linear": len(self.linear),
            "n_literals": len(self.entry),
            "products": list(self.products.shape),
            "n_wide": len(self.wide_bias),
        }

    @classmethod
    def from_config(cls, n_linear: int, n_literals: int, products: list[int], n_wide: int) -> "SparseLayer":
        """Return a layer of zeros, to be filled by ``load_state_dict``."""
        return cls(
            torch.zeros(n_linear, dtype=torch.long),
            torch.zeros(n_literals, dtype=torch.long),
            torch.zeros(n_literals),
            torch.zeros(*products, dtype=torch.long),
            torch.zeros(n_literals, n_wide),
            torch.zeros(n_wide),
        )

    def forward(self, stream: Tensor) -> Tensor:
        """Return the hidden units, (n, n_linear + n_products + n_wide), of a stream of shape (n, n_entries)."""
        literals = self._literals(stream[:, self.entry])
        return torch.cat([stream[:, self.linear], self._products(literals, self.products), self._wide(literals)], dim=1)

    def responses(self, stream: Tensor) -> Callable[[int, Tensor], Tensor]:
        """Return the units as a function of one entry's values; only units that see the entry are computed again."""
        units, literals = self(stream), self._literals(stream[:, self.entry])
        n_linear, n_products = len(self.linear), len(self.products)

        def changed(entry: int, values: Tensor) -> Tensor:
            own = self.entry == entry
            other, result = literals.clone(), units.clone()
            other[:, own] = torch.where(values[:, None] > self.threshold[own], 1.0, -1.0).to(values)
            result[:, (self.linear == entry).nonzero()[:, 0]] = values[:, None]
            seeing = torch.cat([own, own.new_zeros(1)])[self.products].any(1).nonzero()[:, 0]
            result[:, n_linear + seeing] = self._products(other, self.products[seeing])
            result[:, n_linear + n_products :] = self._wide(other)
            return result

        return changed

    def _literals(self, values: Tensor) -> Tensor:
        return torch.where(values > self.threshold, 1.0, -1.0).to(values.dtype)

    @staticmethod
    def _products(literals: Tensor, products: Tensor) -> Tensor:
        with_one = torch.cat([literals, literals.new_ones(len(literals), 1)], dim=1)
        result = with_one.new_ones(len(literals), len(products))
        for factor in products.T:
            result = result * with_one[:, factor]
        return result

    def _wide(self, literals: Tensor) -> Tensor:
        return (literals @ self.wide_weight + self.wide_bias).clamp(-1.0, 1.0)


@dataclass(frozen=True)
class SparseFeatures:
    """The feature map of hidden units that see few stream entries, chosen for the labels' loss gradients.

    The estimator first looks for labels that are gates of few literals (`rungwise.fitting.gate_search`), which settle.
    For the labels that are left, a block has all stream entries as linear units, and the literals and products of two
    literals whose correlation with some label's gradient chance does not explain.

    Parameters
    ----------
    fan_in : int, at least 1
        Most literals of a gate's truth table.
    n_thresholds : int, at least 1
        Most thresholds of an entry with more than two values.
    width : int, at least 1
        Most products in a block.

    Examples
    --------
    >>> SparseFeatures(fan_in=2)
    SparseFeatures(fan_in=2, n_thresholds=15, width=1024)
    """

    name: ClassVar[str] = "sparse"
    replaces: ClassVar[bool] = True
    reads_labels: ClassVar[bool] = True
    fan_in: int = 3
    n_thresholds: int = 15
    width: int = 1024

    def __post_init__(self) -> None:
        for name in ("fan_in", "n_thresholds", "width"):
            check_whole(name, getattr(self, name), 1)

    def fit(
        self, stream: Tensor, generator: torch.Generator, objective: Any, label_entries: Tensor | None = None
    ) -> SparseLayer:
        """Choose units for the gradients of an objective; see `rungwise.features.FeatureMap`."""
        n, n_entries = stream.shape
        # One draw, however many rows: what other features draw afterwards must not depend on that.
        seed = int(torch.randint(2**62, (), generator=generator))
        rows = torch.arange(n)
        if n > _MAX_ROWS:
            rows = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:_MAX_ROWS]
        rows = rows.to(stream.device)
        sample = stream[rows].cpu()
        part = objective.select(rows)
        gradients = -part.loss.slope(part.offset, part.targets).float().cpu()
        weights = part.weights.float().cpu()
        row_weights = weights.mean(1)
        cuts = [literal_thresholds(column, self.n_thresholds, row_weights) for column in sample.T]
        entry = torch.arange(n_entries).repeat_interleave(torch.tensor([len(cut) for cut in cuts]))
        threshold = torch.cat(cuts)
        if len(entry) > _MAX_LITERALS:
            screen = Screen(gradients, weights, len(entry))
            screen.add(_literals(sample, entry, threshold))
            kept = screen.correlations.abs().amax(1).topk(_MAX_LITERALS).indices.sort().values
            entry, threshold = entry[kept], threshold[kept]
        screen = Screen(gradients, weights, len(entry))
        screen.add(_literals(sample, entry, threshold))
        labels, beam = torch.arange(gradients.shape[1]), Beam.empty(gradients.shape[1], _BEAM, 2)
        screen.screen_pairs(labels, beam)
        # Among m candidates that have nothing to do with the label, the largest R² is about 2 ln(m) / n.
        noise = 2 * math.log(max(2, len(entry) ** 2 * len(labels))) / screen.total
        alone = (screen.correlations.square() > noise).any(1).nonzero()[:, 0]
        significant = beam.scores > noise[:, None]
        pairs, rank = torch.unique(beam.sets[significant], dim=0, return_inverse=True)
        best = torch.zeros(len(pairs)).scatter_reduce_(0, rank, beam.scores[significant], "amax")
        pairs = pairs[best.topk(min(self.width, len(pairs))).indices.sort().values]
        nothing = torch.full((len(alone), 1), len(entry))
        products = torch.cat([torch.cat([alone[:, None], nothing], dim=1), pairs.reshape(-1, 2)])
        empty = torch.zeros(len(entry), 0), torch.zeros(0)
        return SparseLayer(torch.arange(n_entries), entry, threshold, products, *empty).to(stream)


def _literals(stream: Tensor, entry: Tensor, threshold: Tensor) -> Tensor:
    """Return literals of a stream, (n_literals, n), ±1."""
    return torch.where(threshold[:, None] < stream[:, entry].T, 1.0, -1.0)
