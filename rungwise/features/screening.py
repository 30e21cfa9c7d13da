"""Screening: which few literals together say most about each label, found for all labels at once by matrix products.

A literal is a yes-or-no question about a stream entry, ±1. A set S of literals sorts the examples into 2^|S| cells; its
score for a label is the R² of predicting the label by its mean in each cell. For a pair that is

    R²(a, b) = corr(y, b)² + corr(y, a | b)² + corr(y, ab | a, b)²,

the squared correlations with b, with what a adds to b, and with what the product adds to both, so that one matrix
product of all products ab with the loss gradients of all labels, and the moments of the literals, score them all. Every
pair is screened once: a call looks only at pairs of which one literal is new. Sets grow by one literal at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

# Entries of a score matrix handled at a time: 512 KiB in single precision stay in a core's cache.
_CHUNK = 131_072
# Most labels and pairs of one matrix product: with so many it runs at full rate, and with more the product and what it
# is made of leave the cache.
_MOST_LABELS, _MOST_PAIRS = 512, 1024
# 256 bits tell a parity from 10^9 others many times over.
_PARITY_ROWS = 256
# A product whose variance beyond its factors is below this is one of them, up to rounding.
_LEAST_VARIANCE = 1e-4


@dataclass
class Beam:
    """For every label the best sets of literals found so far, all of one size.

    Attributes
    ----------
    sets : Tensor of shape (n_labels, width, size), int64
        Literal indices; -1 where there is no set yet.
    scores : Tensor of shape (n_labels, width)
        R², in descending order; -1 where there is no set yet.
    fresh : Tensor of shape (n_labels, width), bool
        Whether the set has not been extended yet.
    """

    sets: Tensor
    scores: Tensor
    fresh: Tensor

    @classmethod
    def empty(cls, n_labels: int, width: int, size: int) -> "Beam":
        """Return a beam without sets."""
        sets = torch.full((n_labels, width, size), -1, dtype=torch.long)
        return cls(sets, torch.full((n_labels, width), -1.0), torch.zeros(n_labels, width, dtype=torch.bool))

    def merge(self, labels: Tensor, sets: Tensor, scores: Tensor) -> None:
        """Keep the best of what is there and of what is offered.

        Parameters
        ----------
        labels : Tensor of shape (n_offers,)
        sets : Tensor of shape (n_offers, size)
        scores : Tensor of shape (n_offers,)
        """
        if len(labels) == 0:
            return
        touched = labels.unique()
        width = self.scores.shape[1]
        held = touched.repeat_interleave(width)
        labels = torch.cat([held, labels])
        sets = torch.cat([self.sets[touched].flatten(0, 1), sets])
        scores = torch.cat([self.scores[touched].flatten(), scores])
        fresh = torch.cat([self.fresh[touched].flatten(), torch.ones(len(labels) - len(held), dtype=torch.bool)])

        # Best first within each label; what is already there comes first among equals, so that no set is held twice.
        order = torch.argsort(scores, descending=True, stable=True)
        order = order[torch.argsort(labels[order], stable=True)]
        order = order[_first_of_each(labels[order], sets[order])]
        labels, sets, scores, fresh = labels[order], sets[order], scores[order], fresh[order]
        starts = torch.searchsorted(labels, labels)
        rank = torch.arange(len(labels)) - starts
        kept = (rank < width) & (scores >= 0)
        self.sets[touched], self.scores[touched], self.fresh[touched] = -1, -1.0, False
        place = labels[kept], rank[kept]
        self.sets[place], self.scores[place], self.fresh[place] = sets[kept], scores[kept], fresh[kept]

    def offer(self, labels: Tensor, sets: Tensor, scores: Tensor) -> None:
        """Offer to all of some labels the same sets, of which none is held yet; keep the best.

        Parameters
        ----------
        labels : Tensor of shape (n_labels,)
        sets : Tensor of shape (n_sets, size)
        scores : Tensor of shape (n_sets, n_labels)
        """
        better = (scores.amax(0) > self.scores[labels, -1]).nonzero()[:, 0]
        labels, width = labels[better], self.scores.shape[1]
        best, place = torch.cat([self.scores[labels], scores.T[better]], dim=1).topk(width, dim=1)
        new, held = place >= width, place.clamp(max=width - 1)
        self.sets[labels] = torch.where(
            new[..., None], sets[(place - width).clamp(min=0)], self.sets[labels[:, None], held]
        )
        self.fresh[labels] = new | self.fresh[labels[:, None], held]
        self.scores[labels] = best


def _first_of_each(labels: Tensor, sets: Tensor) -> Tensor:
    """Return which are the first occurrence of their (label, set), bool."""
    key, base = labels.clone(), int(sets.max()) + 2
    for member in sets.T:
        key = key * base + member + 1
    key, order = key.sort(stable=True)
    first = torch.empty(len(labels), dtype=torch.bool)
    first[order] = torch.cat([torch.ones(1, dtype=torch.bool), key[1:] != key[:-1]])
    return first


class Screen:
    """Literals and labels on the rows that screening looks at.

    Parameters
    ----------
    targets : Tensor of shape (n, n_labels)
        What is to be explained: labels ±1, or loss gradients; any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
    max_literals : int
        Room for so many literals.
    """

    def __init__(self, targets: Tensor, weights: Tensor, max_literals: int) -> None:
        self.weights = weights
        self.signed = weights * targets
        # Literals and their products have one set of moments for all labels: those of the rows' mean weights.
        self._shares = weights.mean(1) / weights.mean(1).sum().clamp(min=torch.finfo(weights.dtype).tiny)
        self.total = weights.sum(0).clamp(min=torch.finfo(weights.dtype).tiny)
        self.mean = self.signed.sum(0) / self.total
        self.variance = ((self.signed * targets).sum(0) / self.total - self.mean.square()).clamp(min=1e-12)
        # With standardised literals, their products with these columns are correlations.
        self.gradients = weights * (targets - self.mean) / (self.total * self.variance.sqrt())
        self._literals = targets.new_empty(max_literals, len(targets))
        self._means = targets.new_empty(max_literals)
        self._spreads = targets.new_empty(max_literals)
        self._correlations = targets.new_empty(max_literals, targets.shape[1])
        self.n_literals = 0
        self.n_screened = 0
        self.operations = 0.0

    @property
    def literals(self) -> Tensor:
        """The literals, (n_literals, n), ±1."""
        return self._literals[: self.n_literals]

    @property
    def correlations(self) -> Tensor:
        """Of the literals with the targets, (n_literals, n_labels)."""
        return self._correlations[: self.n_literals]

    def add(self, literals: Tensor) -> None:
        """Add literals, (n_new, n), ±1."""
        new = slice(self.n_literals, self.n_literals + len(literals))
        self._literals[new] = literals
        self._means[new] = literals @ self._shares
        # A literal is ±1, so that its mean tells its variance.
        self._spreads[new] = (1 - self._means[new].square()).clamp(min=1e-12).sqrt()
        self._correlations[new] = literals @ self.gradients / self._spreads[new, None]
        self.n_literals = new.stop

    def screen_pairs(self, labels: Tensor, beam: Beam) -> None:
        """Score for some labels all pairs of literals of which one is new since the last call; keep the best."""
        for part in labels.split(_MOST_LABELS) if len(labels) else ():
            gradients = self.gradients[:, part].contiguous()
            correlations = self._correlations[: self.n_literals, part].contiguous()
            # Used for one block after another: for each, new memory would cost more time than writing to it.
            products = gradients.new_empty(_MOST_PAIRS, len(gradients))
            scores = gradients.new_empty(_MOST_PAIRS, len(part))
            for a, b in self._blocks():
                n_pairs = (a.stop - a.start) * (b.stop - b.start)
                self._score_pairs(a, b, gradients, correlations, products[:n_pairs], scores[:n_pairs])
                pairs = torch.cartesian_prod(torch.arange(b.start, b.stop), torch.arange(a.start, a.stop)).flip(1)
                beam.offer(part, pairs, scores[:n_pairs])
        self.n_screened = self.n_literals

    def _blocks(self) -> Iterator[tuple[slice, slice]]:
        """Yield ranges of literals a and b, at most `_MOST_PAIRS` pairs each, that hold every pair a < b with b new."""
        start = max(1, self.n_screened)
        while start < self.n_literals:
            b = slice(start, min(start + max(1, _MOST_PAIRS // self.n_literals), self.n_literals))
            for first in range(0, b.stop - 1, _MOST_PAIRS):
                yield slice(first, min(first + _MOST_PAIRS, b.stop - 1)), b
            start = b.stop

    def _score_pairs(
        self, in_a: slice, in_b: slice, gradients: Tensor, correlations: Tensor, products: Tensor, scores: Tensor
    ) -> None:
        """Write products of literals, (n_b * n_a, n), and their R², (n_b * n_a, n_labels), -inf unless a < b.

        The squares of literals are 1, so that the means of a, b and ab tell all second moments of the three. What is
        left of the product beyond both, ab - α a - β b up to constants, is never formed for the rows: its inner
        products with the gradients follow from those of a, b and ab.
        """
        a, b = self._literals[in_a], self._literals[in_b]
        mean_a, mean_b = self._means[in_a], self._means[in_b, None]
        spread_a, spread_b = self._spreads[in_a], self._spreads[in_b, None]
        mean_ab = (b * self._shares) @ a.T  # (n_b, n_a), as all that follows from it
        rho = (mean_ab - mean_a * mean_b) / (spread_a * spread_b)
        rest = (1 - rho.square()).clamp(min=1e-6)
        with_a, with_b = (mean_b - mean_ab * mean_a) / spread_a, (mean_a - mean_ab * mean_b) / spread_b
        alpha, beta = (with_a - rho * with_b) / rest, (with_b - rho * with_a) / rest
        variance = 1 - mean_ab.square() - alpha * with_a - beta * with_b
        scale = torch.where(variance > _LEAST_VARIANCE, variance.clamp(min=_LEAST_VARIANCE).rsqrt(), 0.0)
        scale_alone = torch.where(rest > 1e-5, rest.rsqrt(), 0.0)

        torch.mul(b[:, None], a, out=products.view(len(b), len(a), -1))
        torch.mm(products, gradients, out=scores)
        scores = scores.view(len(b), len(a), -1)
        of_a, of_b = correlations[in_a], correlations[in_b, None]
        scores.addcmul_(alpha[..., None], of_a, value=-1).addcmul_(beta[..., None], of_b, value=-1)
        scores *= scale[..., None]
        alone = (of_a * scale_alone[..., None]).addcmul_((rho * scale_alone)[..., None], of_b, value=-1)
        scores.square_().addcmul_(alone, alone).add_(of_b.square())

        # The a that are among the b: half of these pairs are others in reverse.
        shared = min(max(in_a.start, in_b.start), in_a.stop)
        reverse = torch.arange(shared, in_a.stop) >= torch.arange(in_b.start, in_b.stop)[:, None]
        scores[:, shared - in_a.start :].masked_fill_(reverse[..., None], -torch.inf)
        self.operations += 2.0 * (rho.numel() - int(reverse.sum())) * gradients.numel()

    def screen_parities(self, labels: Tensor, first_new: int, beam: Beam) -> None:
        """Score by their product alone all sets of three literals of which one is at ``first_new`` or later.

        A parity agrees with its label on all rows or on half of them: some of the rows tell them apart.
        """
        some = slice(None, None, max(1, self._literals.shape[1] // _PARITY_ROWS))
        literals = self.literals[:, some].contiguous()
        share = self._shares[some] / self._shares[some].sum().clamp(min=torch.finfo(self._shares.dtype).tiny)
        weight = self.weights[some][:, labels].sum(0).clamp(min=torch.finfo(self._shares.dtype).tiny)
        gradients = self.gradients[some][:, labels] * (self.total[labels] / weight)
        chunk = max(16, _CHUNK // max(_PARITY_ROWS, len(labels)))
        for c in range(max(2, first_new), self.n_literals):
            offers = []
            for part in torch.combinations(torch.arange(c)).split(chunk):
                product = literals[part[:, 0]] * literals[part[:, 1]] * literals[c]
                variance = (1 - (product @ share).square()).clamp(min=_LEAST_VARIANCE)
                scores = (product @ gradients).square_() / variance[:, None]
                self.operations += 2.0 * scores.numel() * product.shape[1]
                row, column, value = _best_above(scores, beam.scores[labels, -1], beam.scores.shape[1])
                sets = torch.cat([part[row], torch.full((len(row), 1), c)], dim=1)
                offers.append((labels[column], sets, value))
            beam.merge(*(torch.cat(parts) for parts in zip(*offers, strict=True)))

    def extend(self, labels: Tensor, sets: Tensor, first: int, beam: Beam) -> None:
        """Score sets of literals with one literal added; keep the best in the beam of the larger sets.

        Parameters
        ----------
        labels : Tensor of shape (n_sets,)
            The label that each set is for.
        sets : Tensor of shape (n_sets, size)
        first : int
            Only literals from this one on are added.
        beam : Beam
            Of sets of size + 1.
        """
        literals = self.literals
        added = literals[first:]
        n_cells = 2 ** sets.shape[1]
        chunk = max(1, 8 * _CHUNK // (n_cells * max(1, len(added))))
        for start in range(0, len(sets) if len(added) else 0, chunk):
            part, who = sets[start : start + chunk], labels[start : start + chunk]
            members = self._cell_members(part)  # (n_sets, n_cells, n)
            weight = members * self.weights.T[who][:, None]
            signed = members * self.signed.T[who][:, None]
            split_weight = weight.flatten(0, 1) @ added.T
            split_signed = signed.flatten(0, 1) @ added.T
            self.operations += 4.0 * split_weight.numel() * literals.shape[1]
            weight, signed = weight.sum(2).flatten()[:, None], signed.sum(2).flatten()[:, None]
            explained = torch.zeros_like(split_weight)
            for sign in (1, -1):
                half = (signed + sign * split_signed) / 2
                explained += half.square_() / ((weight + sign * split_weight) / 2).clamp_(min=1e-6)
            explained = explained.view(len(part), n_cells, -1).sum(1)
            mean = self.mean[who][:, None].square()
            scores = (explained / self.total[who][:, None] - mean) / self.variance[who][:, None]
            best = scores.topk(min(beam.scores.shape[1], scores.shape[1]), dim=1)
            grown = torch.cat([part[:, None].expand(-1, best.indices.shape[1], -1), best.indices[..., None] + first], 2)
            grown = grown.sort(2).values
            proper = (grown.diff(dim=2) > 0).all(2)
            beam.merge(who[:, None].expand_as(proper)[proper], grown[proper], best.values[proper])

    def _cell_members(self, sets: Tensor) -> Tensor:
        """Return which rows lie in which cell, (n_sets, 2 ** size, n), 0 or 1."""
        cells = cell_index(self.literals > 0, sets)
        return (cells[:, None] == torch.arange(2 ** sets.shape[1])[:, None]).to(self._literals.dtype)


def cell_index(literals: Tensor, sets: Tensor) -> Tensor:
    """Return the cell of every row, (n_sets, n), the first literal of a set as the most significant bit.

    Parameters
    ----------
    literals : Tensor of shape (n_literals, n), bool
    sets : Tensor of shape (n_sets, size)
    """
    cell = torch.zeros(len(sets), literals.shape[1], dtype=torch.int64)
    for position in range(sets.shape[1]):
        cell = 2 * cell + literals[sets[:, position]]
    return cell


def _best_above(scores: Tensor, limit: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return row, column and value of the entries above their column's limit, of each column the best ``width``."""
    columns = (scores.amax(0) > limit).nonzero()[:, 0]
    best = scores.index_select(1, columns).topk(min(width, len(scores)), dim=0)
    above = best.values > limit[columns]
    return best.indices[above], columns.expand_as(above)[above], best.values[above]
