"""Gates of many literals: conjunctions (and, or, nand, nor of any width) and thresholds of weighted sums."""

import math

import numpy as np
import torch
from torch import Tensor

from rungwise.features.screening import Screen, cell_index
from rungwise.fitting.gates import Examples, Gate, log2_choose
from rungwise.theory.fit_ptf import largest_margin_ptf

# Thresholds of more literals than this are not looked for: their codes (k² bits) are no longer short.
_MAX_THRESHOLD_LITERALS = 12
_L1_STEPS = 200
# A penalised fit of a threshold that exists misses few examples, if any.
_MAX_L1_ERROR = 0.02
_ROUNDING = 1e-9


def find_conjunctions(
    screen: Screen, examples: Examples, rows: Tensor, labels: Tensor, share: float
) -> dict[int, Gate]:
    """Return gates for the labels that are a conjunction of literals on all examples, or the complement of one.

    If the label is true on exactly the rows where k literals have given values, every one of them has that value on all
    of the label's true rows. The literals that do are candidates; two matrix products over the screening rows tell for
    which labels all candidates together exclude every false row. For these a smallest set is sought greedily on all
    rows (set cover: Chvátal, 1979), and literals that the others make superfluous are dropped.

    Parameters
    ----------
    screen : Screen
    examples : Examples
    rows : Tensor of shape (n_screened,)
        The rows of `examples` that `screen` looks at.
    labels : Tensor of shape (n_labels,)
        The labels to look for.
    share : float
        `SURE`, `LIKELY` or `SIGNIFICANT`; see `rungwise.fitting.gates`.
    """
    literals = screen.literals
    positive = (examples.positive[labels][:, rows] > 0).to(literals)
    negative = (examples.weights[labels][:, rows] > 0).to(literals) - positive
    gates: dict[int, Gate] = {}
    for value, inside, outside in ((True, positive, negative), (False, negative, positive)):
        total = inside.sum(1, keepdim=True)
        sums = inside @ literals.T
        asked = (sums == total).to(literals) - (sums == -total).to(literals)  # (n_labels, n_literals)
        asked *= total > 0
        n_asked = asked.abs().sum(1, keepdim=True)
        excluded = asked @ literals < n_asked
        promising = (excluded | (outside == 0)).all(1) & (n_asked[:, 0] > 0)
        for position in promising.nonzero()[:, 0].tolist():
            label = int(labels[position])
            gate = _cover(examples, label, value, share)
            if gate is not None and (label not in gates or gate.bits < gates[label].bits):
                gates[label] = gate
    return gates


def _cover(examples: Examples, label: int, value: bool, share: float) -> Gate | None:
    """Return the conjunction that makes the label equal to ``value``; None if there is none worth its code."""
    annotated = examples.weights[label] > 0
    positive = examples.positive[label] > 0
    inside, outside = annotated & (positive == value), annotated & (positive != value)
    on_inside = examples.literals[:, inside]
    asks_true, asks_false = on_inside.all(1), ~on_inside.any(1)
    candidates = (asks_true | asks_false).nonzero()[:, 0]
    of_input = examples.of_input[candidates]
    signs = asks_true[candidates]
    excludes = examples.literals[candidates][:, outside] != signs[:, None]
    if len(candidates) == 0 or not excludes.any(0).all():
        return None

    def n_bits(k: int) -> float:
        return log2_choose(examples.n_literals, k) + k + 1  # the value of each literal, and of the label

    def longest_code(k: int, reads_input: Tensor) -> float:
        return float(examples.longest_code(torch.tensor([label]), k, share, reads_input))

    # In single precision sums are matrix products, exact up to 2^24 rows.
    excluded = excludes.float()
    left = torch.ones(excludes.shape[1])
    # No literal excludes more rows than the best one, and each that is not superfluous excludes a row of its own. The
    # number of bits rises with k and then falls: it is least at an end.
    least = max(1, math.ceil(len(left) / float((excluded @ left).amax().clamp(min=1))))
    most = max(least, min(len(candidates), len(left)))
    if min(n_bits(least), n_bits(most)) > longest_code(least, of_input.all()):
        return None
    chosen: list[int] = []
    while left.any():
        chosen.append(int((excluded @ left).argmax()))
        left *= 1 - excluded[chosen[-1]]
    for literal in list(chosen):
        others = [other for other in chosen if other != literal]
        if others and excludes[others].any(0).all():
            chosen = others
    k = len(chosen)
    if n_bits(k) > longest_code(k, of_input[chosen].any()):
        return None
    # All k literals as asked: their signed sum is k, else at most k - 2.
    outcome = 1.0 if value else -1.0
    weights = tuple(outcome * (1.0 if sign else -1.0) for sign in signs[chosen].tolist())
    return Gate(tuple(candidates[chosen].tolist()), 0.0, n_bits(k), weights=weights, constant=outcome * (1.0 - k))


def find_thresholds(screen: Screen, examples: Examples, labels: Tensor, share: float) -> dict[int, Gate]:
    """Return gates for the labels that are, on all examples, a threshold of a weighted sum of few literals.

    A squared hinge with an L1 penalty, minimised for all labels at once by accelerated proximal gradient steps (FISTA:
    Beck and Teboulle, 2009), proposes the literals; linear programming decides whether they suffice, and gives the
    weights of largest margin.
    """
    gates: dict[int, Gate] = {}
    # More literals take more bits: k² rises faster than the number of ways to choose them can fall.
    labels = labels[examples.longest_code(labels, 3, share) >= _threshold_bits(examples, 3)]
    if len(labels) == 0:
        return gates
    coefficients, error = _sparse_readout(screen, labels)
    for position in (error < _MAX_L1_ERROR).nonzero()[:, 0].tolist():
        label, size = int(labels[position]), coefficients[:, position].abs()
        order = torch.argsort(size, descending=True)[:_MAX_THRESHOLD_LITERALS]
        support = order[size[order] > 0.2 * size[order[0]]]
        k = len(support)
        bits = _threshold_bits(examples, k)
        if k < 3 or bits > examples.longest_code(labels[position, None], k, share):
            continue
        annotated = examples.weights[label] > 0
        cells = cell_index(examples.literals[:, annotated], support[None])[0]
        signs = torch.where(examples.positive[label][annotated] > 0, 1, -1)
        distinct, which = torch.unique(cells, return_inverse=True)
        value = torch.zeros(len(distinct), dtype=signs.dtype).index_copy_(0, which, signs)
        if not torch.equal(value[which], signs):
            continue
        bit = 2 ** torch.arange(k - 1, -1, -1)
        rows = torch.where(distinct[:, None] & bit > 0, 1.0, -1.0).numpy()
        try:
            threshold = largest_margin_ptf(rows, value.numpy(), degree=1)
        except ValueError:  # no threshold of these literals
            continue
        polynomial = threshold.with_unit_margin(rows).polynomial
        # At margin 1 most thresholds have whole weights, up to the rounding errors of the linear program.
        whole = polynomial.coefficients.round()
        exact = np.where(np.abs(polynomial.coefficients - whole) < _ROUNDING, whole, polynomial.coefficients)
        weights = torch.zeros(k, dtype=torch.float64)
        constant = 0.0
        for exponents, coefficient in zip(polynomial.exponents, exact, strict=True):
            if exponents.any():
                weights[int(exponents.argmax())] = coefficient
            else:
                constant = float(coefficient)
        used = weights != 0
        gates[label] = Gate(
            tuple(support[used].tolist()), 0.0, bits, weights=tuple(weights[used].tolist()), constant=constant
        )
    return gates


def _threshold_bits(examples: Examples, k: int) -> float:
    return log2_choose(examples.n_literals, k) + k * k  # there are fewer than 2^(k²) thresholds of k bits


def _sparse_readout(screen: Screen, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return L1-penalised squared-hinge coefficients of the literals, (n_literals, n_labels), and error rates."""
    design = torch.cat([screen.literals, screen.literals.new_ones(1, screen.literals.shape[1])]).T
    weights = screen.weights[:, labels] / screen.total[labels]
    targets = torch.where(screen.signed[:, labels] > 0, 1.0, -1.0).to(design)
    # One for each label, so that none depends on which others are asked for.
    step = 1 / torch.linalg.matrix_norm(design, 2).square() / weights.amax(0).clamp(min=torch.finfo(weights.dtype).tiny)
    # Some tenths of the penalty at which all coefficients vanish.
    penalty = 0.02 * screen.correlations[:, labels].abs().amax(0)
    current = design.new_zeros(design.shape[1], len(labels))
    ahead, momentum = current, 1.0
    for _ in range(_L1_STEPS):
        slack = (1 - targets * (design @ ahead)).clamp(min=0)
        moved = ahead + step * (design.T @ (weights * targets * slack))
        shrunk = moved.sign() * (moved.abs() - step * penalty).clamp(min=0)
        shrunk[-1] = moved[-1]
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = shrunk + (momentum - 1) / following * (shrunk - current)
        current, momentum = shrunk, following
    wrong = (targets * (design @ current) <= 0).to(weights)
    return current[:-1], (weights * wrong).sum(0)
