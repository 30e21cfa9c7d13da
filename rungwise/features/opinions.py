"""Opinions: features whose hidden units are estimates of the labels, fitted to the labels themselves.

Random units do not follow labels, and screened ones are screened without those that are judged; their readout is fitted
with honest updates later. Units that are estimates themselves have to bring honest values for the training rows with
them. They are told what they may be built upon: which labels are nearly certain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

# Probabilities closer to 0 or 1 than a sample of some thousand rows can tell are not expressed as log-odds.
_LEAST_PROBABILITY = 1e-3
# Shares of the error rate of a label's frequency: what may be wrong of what is nearly certain, without noise and with.
_MOST_DOUBT, _MOST_ERROR = 0.02, 0.25


@dataclass(frozen=True)
class Opinions:
    """A fitted layer with as many hidden units as labels, unit j its estimate of label j.

    Attributes
    ----------
    layer : nn.Module
    honest : Tensor of shape (n, n_labels)
        The units of the training rows, from the parts of the layer that did not see the row's labels.
    honest_at : callable
        Maps other entries of some training rows, (n_some, n_entries), and which rows they are, (n_some,), to what the
        same parts say there, (n_some, n_labels). At the rows' own entries this is ``honest``, up to rounding (of copies
        in one fold, at those of the first one).
    importance : callable
        Maps labels, (n_some,), to the importance of every stream entry for them, (n_entries, n_some), not negative.
    """

    layer: nn.Module
    honest: Tensor
    honest_at: Callable[[Tensor, Tensor], Tensor]
    importance: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Standing:
    """What a block may be built upon.

    Attributes
    ----------
    doubted : Tensor of shape (n_some,), bool
        Which of the objective's labels are not nearly certain yet.
    readings : list of Tensor of shape (n_entries,), bool
        Stream entries without labels in doubt: x and the labels that became nearly certain last; then, if there are
        more, x and all labels that are nearly certain.
    risen : bool
        Whether the last block made labels nearly certain, or there is none yet: there may be a new rung.
    """

    doubted: Tensor
    readings: list[Tensor]
    risen: bool


def express(probability: Tensor, link: str) -> Tensor:
    """Return probabilities as estimates of ±1 labels: 2 p - 1, or log-odds under the link "tanh"."""
    if link == "tanh":
        return torch.logit(probability.clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))
    return 2 * probability - 1


def of_own_fold(functions: Sequence[Callable[[Tensor], Tensor]], fold: Tensor, entries: Tensor) -> Tensor:
    """Return the values, (n, n_labels), of each row's function, one for each fold; ``fold`` is that of the rows."""
    order = fold.argsort()
    runs = entries[order].split(torch.bincount(fold, minlength=len(functions)).tolist())
    values = torch.cat([function(rows) for function, rows in zip(functions, runs, strict=True)])
    return torch.empty_like(values).index_copy_(0, order, values)


def filled_targets(objective: Any) -> tuple[Tensor, Tensor]:
    """Return targets in [-1, 1] without gaps, (n, n_labels), and one weight for each row, (n,).

    Where a label is not annotated, the estimate so far stands in, or the label's mean if there is none yet; where its
    weight is smaller than that of other labels of the row, a mixture of both.
    """
    targets, weights = objective.targets, objective.weights
    row_weights = weights.amax(1)
    share = weights / row_weights.clamp(min=torch.finfo(weights.dtype).tiny)[:, None]
    return share * targets + (1 - share) * believed(objective), row_weights


@dataclass(frozen=True)
class Distinct:
    """The distinct training rows of each fold; copies within a fold are one example, as heavy as all of them.

    Attributes
    ----------
    first : Tensor of shape (n_distinct,), int64
        Where each stands among the training rows.
    place : Tensor of shape (n,), int64
        Where each training row stands among them.
    positives : Tensor of shape (n_distinct, n_labels)
        Probabilities of the labels: means of the copies' targets, without gaps.
    weights : Tensor of shape (n_distinct,)
    """

    first: Tensor
    place: Tensor
    positives: Tensor
    weights: Tensor

    @classmethod
    def of(cls, objective: Any, grouping: Any) -> "Distinct":
        """Merge the copies of rows under an `Objective`, as a `Grouping` names them."""
        targets, row_weights = filled_targets(objective)
        first, place = grouping.copies()
        weights = torch.zeros_like(first, dtype=row_weights.dtype).index_add_(0, place, row_weights)
        sums = torch.zeros_like(targets[first]).index_add_(0, place, row_weights[:, None] * (1 + targets) / 2)
        return cls(first, place, sums / weights.clamp(min=torch.finfo(weights.dtype).tiny)[:, None], weights)


def believed(objective: Any) -> Tensor:
    """Return what the estimates so far say of the labels, in [-1, 1], (n, n_labels); where there are none, the mean."""
    targets, weights, estimates = objective.targets, objective.weights, objective.offset
    mean = (weights * targets).sum(0) / weights.sum(0).clamp(min=torch.finfo(weights.dtype).tiny)
    read = torch.tanh(estimates / 2) if objective.loss.link == "tanh" else estimates.clamp(-1, 1)
    return torch.where(estimates.any(0), read, mean)


def nearly_certain(read: Tensor, targets: Tensor, shares: Tensor) -> Tensor:
    """Return which labels are known so well that others may be built upon them, bool (n_labels,).

    Few of their errors may be left. Noise that flips annotations of all rows alike leaves errors that no estimate can
    mend: as many of them, up to some noise, are left in the surer half of the rows. Only errors beyond these count, as
    far as rows are enough to tell. How sure the estimates are, other than in comparison, does not count: well-trained
    networks may be underconfident.

    Parameters
    ----------
    read : Tensor of shape (n, n_labels)
        Honest estimates as blocks read them, in [-1, 1].
    targets : Tensor of shape (n, n_labels)
        In [-1, 1]: means of rows that are alike.
    shares : Tensor of shape (n, n_labels)
        Weights, of each label in sum 1, or 0 if it is not annotated.
    """
    wrong = shares * torch.where(read > 0, 1 - targets, 1 + targets) / 2
    error = wrong.sum(0)
    prior = torch.minimum((shares * (1 + targets)).sum(0), (shares * (1 - targets)).sum(0)) / 2
    certain = (error <= _MOST_DOUBT * prior) & (prior > 0)
    for label in (~certain & (error <= _MOST_ERROR * prior) & (prior > 0)).nonzero()[:, 0].tolist():
        sureness, share = read[:, label].abs(), shares[:, label]
        order = sureness.argsort(descending=True)
        median = sureness[order][share[order].cumsum(0) >= share.sum() / 2][0]
        surer = sureness >= median
        noise = wrong[surer, label].sum() / share[surer].sum()
        certain[label] = error[label] - noise <= _MOST_DOUBT * prior[label]
    return certain
