"""Gates: labels explained by few literals, and when such an explanation is believed.

A label is settled by an explanation that is simple enough for what it explains. If `bits` is the length of a code for
the explanation (which literals, which function of them), believing one that saves more than log2(n_labels / δ) bits
against coding the label by its frequency errs with probability at most δ over all labels (Occam's razor: Blumer,
Ehrenfeucht, Haussler and Warmuth, 1987). Such an explanation cannot have memorised its examples: the estimates that it
gives for the training rows are honest.

The same code bounds how often an explanation without training errors is wrong on new examples: at most
(bits + log2(n_labels / δ)) ln 2 / n of the time. A gate of more than two literals is sure, or likely, if this is at
most a small share of the errors of predicting the label by its frequency. Significance alone would let a chain of
thresholds that picks out a few examples of real data pass for the truth, or a gate of three literals stand in for one
of two that a later rung would have shown. Gates of one or two labels are the simplest explanations that there are, and
significance is enough. If an input is among them, the share must be at most a half, or features have to be no better:
the few examples of a rare label in real data often have some word or value in common that new ones lack, or that others
have, too.

Labels may be noisy. A truth table that is wrong equally often in every cell is complete, and what remains is noise; if
some cells are wrong more often than others, something is missing.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import inf, lgamma, log

import numpy as np
import torch
from torch import Tensor

from rungwise.features.screening import cell_index
from rungwise.theory.boolean import hypercube
from rungwise.theory.fit_ptf import ptf_degree, smallest_norm_ptf
from rungwise.theory.polynomial import Polynomial

# δ = 2^-10: a wrong explanation is believed in at most one of a thousand fits.
CONFIDENCE_BITS = 10.0
# Errors that a gate may make on new examples, as a share of those of the label's frequency. SIMPLE is for gates of one
# or two literals, an input among them.
SURE, LIKELY, SIMPLE, SIGNIFICANT = 0.1, 0.25, 0.5, 1.0
LN2 = log(2)
_MAX_ENTRIES = 20_000_000


@dataclass(frozen=True)
class Gate:
    """A label as a function of a few literals: a truth table, or a threshold of a weighted sum.

    Attributes
    ----------
    literals : tuple of int
    error : float
        Share of the examples, by weight, on which the label differs.
    bits : float
        Length of the code of the gate.
    table : Tensor of shape (2 ** n_literals,), bool, or None
        The value in each cell, the first literal as the most significant bit.
    weights : tuple of float, or None
        For a threshold: the label is true where Σ weights · literals (±1) + constant > 0; its margin is 1.
    constant : float
    """

    literals: tuple[int, ...]
    error: float
    bits: float
    table: Tensor | None = None
    weights: tuple[float, ...] | None = None
    constant: float = 0.0

    def __call__(self, literals: Tensor) -> Tensor:
        """Return the label, (n,) bool, from the gate's own literals, (n_own, n) bool."""
        if self.table is not None:
            own = torch.arange(len(self.literals))[None]
            return self.table[cell_index(literals, own)[0]]
        signs = torch.where(literals, 1.0, -1.0).double()
        return torch.tensor(self.weights, dtype=torch.float64) @ signs + self.constant > 0

    @property
    def polynomial(self) -> Polynomial:
        """The polynomial of margin 1 with the gate's signs: of a table, of least degree and then of least norm."""
        if self.table is not None:
            return _least_polynomial(tuple(np.where(self.table.numpy(), 1, -1).tolist()))
        assert self.weights is not None
        k = len(self.weights)
        exponents = np.vstack([np.eye(k, dtype=int), np.zeros((1, k), dtype=int)])
        return Polynomial(exponents, np.array([*self.weights, self.constant]))


@lru_cache(maxsize=4096)
def _least_polynomial(table: tuple[int, ...]) -> Polynomial:
    K = len(table).bit_length() - 1
    cube, values = hypercube(K), np.array(table)
    return smallest_norm_ptf(cube, values, ptf_degree(cube, values, K)).polynomial


def log2_choose(n: int, k: int) -> float:
    """Return the bits that tell which k of n are chosen, log2 of the number of ways; inf if there is none."""
    if k > n:
        return inf
    return (lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)) / LN2


def entropy_bits(positive: Tensor, total: Tensor) -> Tensor:
    """Return n H(p), the bits that it takes to say which of n examples are positive, given how many."""
    p = positive / total.clamp(min=1e-300)
    return -(torch.xlogy(positive, p) + torch.xlogy(total - positive, 1 - p)) / LN2


class Examples:
    """All training rows, as judges of gates see them.

    Parameters
    ----------
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
    max_literals : int
        Room for so many literals.
    """

    def __init__(self, targets: Tensor, weights: Tensor, max_literals: int) -> None:
        self.weights = weights.T.double().contiguous()
        self.positive = (self.weights * (targets.T > 0)).contiguous()
        self.prior_bits = entropy_bits(self.positive.sum(1), self.weights.sum(1))
        self._confidence = CONFIDENCE_BITS + log(max(1, targets.shape[1])) / LN2
        self._literals = torch.empty(max_literals, len(targets), dtype=torch.bool)
        self._of_input = torch.empty(max_literals, dtype=torch.bool)
        self.n_literals = 0

    @property
    def literals(self) -> Tensor:
        """The literals, (n_literals, n), bool."""
        return self._literals[: self.n_literals]

    @property
    def of_input(self) -> Tensor:
        """Which literals ask for an input, not for a label, (n_literals,), bool."""
        return self._of_input[: self.n_literals]

    def add(self, literals: Tensor, of_input: Tensor) -> None:
        """Add literals, (n_new, n), bool, and whether they ask for an input, (n_new,), bool."""
        new = slice(self.n_literals, self.n_literals + len(literals))
        self._literals[new], self._of_input[new] = literals, of_input
        self.n_literals += len(literals)

    def longest_code(self, labels: Tensor, n_literals: int, share: float, reads_input: Tensor | None = None) -> Tensor:
        """Return the most bits of a gate of so many literals that is believed, (n_labels,).

        Parameters
        ----------
        labels : Tensor of shape (n_labels,)
        n_literals : int
        share : float
            `SURE`, `LIKELY` or `SIGNIFICANT`.
        reads_input : Tensor of shape (n_labels,) or (), bool, optional
            Whether an input is among the literals: needed if there are at most two.
        """
        significant = self.prior_bits[labels] - self._confidence
        if share == SIGNIFICANT:
            return significant
        if n_literals > 2:
            return torch.minimum(significant, self._bits_for(labels, share))
        assert reads_input is not None
        bounded = torch.minimum(significant, self._bits_for(labels, SIMPLE))
        return torch.where(reads_input, bounded, significant)

    def table_bits(self, size: int) -> float:
        """Return the length of the code of a truth table: which literals, and the value in each cell."""
        return log2_choose(self.n_literals, size) + 2**size

    def expected_error(self, label: int, gate: Gate) -> float:
        """Return the error rate of a gate on new examples: as on the old ones if it is likely, else its bound."""
        unseen = 0.0 if self.is_likely(label, gate) else gate.bits * LN2 / float(self.weights[label].sum())
        return min(0.5, gate.error + unseen)

    def is_likely(self, label: int, gate: Gate) -> bool:
        """Return whether the bound on a gate's errors is a small share of those of the label's frequency."""
        return gate.bits <= float(self._bits_for(torch.tensor([label]), LIKELY))

    def margin(self, label: int, gate: Gate) -> float:
        """Return the smallest margin y p of a gate's polynomial p over the annotated examples."""
        own = list(gate.literals)
        if gate.table is not None:
            # Examples of one cell have one p: it is enough to know which cells have which labels.
            positive, total = self.cell_counts(torch.tensor([label]), torch.tensor([own]))
            values = torch.from_numpy(gate.polynomial(hypercube(len(own))))
            return float(torch.cat([values[positive[0] > 0], -values[total[0] > positive[0]]]).min())
        annotated = self.weights[label] > 0
        rows = torch.where(self.literals[own][:, annotated].T, 1, -1)
        y = torch.where(self.positive[label, annotated] > 0, 1, -1)
        return float((y * torch.from_numpy(gate.polynomial(rows.numpy()))).min())

    def _bits_for(self, labels: Tensor, share: float) -> Tensor:
        """Return the bits for which the bound on errors is a share of those of the frequency, (n_labels,)."""
        positive, total = self.positive[labels].sum(1), self.weights[labels].sum(1)
        return share * torch.minimum(positive, total - positive) / LN2 - self._confidence

    def cell_counts(self, labels: Tensor, sets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weight of positive and of all examples in each cell, two (n_sets, 2 ** size)."""
        counts = torch.zeros(2, len(sets), 2 ** sets.shape[1], dtype=torch.float64)
        chunk = max(1, _MAX_ENTRIES // self.literals.shape[1])
        for start in range(0, len(sets), chunk):
            part = slice(start, start + chunk)
            cells = cell_index(self.literals, sets[part])
            counts[0, part].scatter_add_(1, cells, self.positive[labels[part]])
            counts[1, part].scatter_add_(1, cells, self.weights[labels[part]])
        return counts[0], counts[1]


@dataclass(frozen=True)
class Verdicts:
    """How well truth tables explain labels: for each (label, set), judged by the majority in each cell.

    Attributes
    ----------
    error : Tensor of shape (n_sets,)
        Share of the examples that are wrong.
    saving : Tensor of shape (n_sets,)
        Bits saved against coding the label by its frequency, if the errors are noise: one rate for all cells.
    uneven_saving : Tensor of shape (n_sets,)
        Bits saved with an error rate for each cell; more than `saving` if the errors are not spread as noise would be.
    least_seen : Tensor of shape (n_sets,)
        Weight of the rarest cell.
    table : Tensor of shape (n_sets, 2 ** size), bool
    bits : float
        Length of the code of a table.
    """

    error: Tensor
    saving: Tensor
    uneven_saving: Tensor
    least_seen: Tensor
    table: Tensor
    bits: float


def judge(examples: Examples, labels: Tensor, sets: Tensor) -> Verdicts:
    """Judge each set, (n_sets, size), as the explanation of a label, (n_sets,)."""
    positive, total = examples.cell_counts(labels, sets)
    wrong = torch.minimum(positive, total - positive)
    n, errors = total.sum(1), wrong.sum(1)
    bits = examples.table_bits(sets.shape[1])
    # A rate estimated from n examples costs half a log2(n) more to code: one for all cells, or one for each.
    noise = entropy_bits(errors, n) + 0.5 * torch.log2(n + 1)
    uneven = (entropy_bits(wrong, total) + 0.5 * torch.log2(total + 1)).sum(1)
    saved = examples.prior_bits[labels] - bits
    saving = torch.where(errors == 0, saved, saved - noise)
    uneven_saving = torch.where(errors == 0, saved, saved - uneven)
    return Verdicts(errors / n, saving, uneven_saving, total.amin(1), 2 * positive > total, bits)
