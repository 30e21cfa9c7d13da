"""The layerwise loop (arXiv 2601.00455, section 2): add one fitted block after another until no label gains by it.

First the gates: as long as some label is explained by few inputs and settled labels, a block settles all that are. Then
blocks of the given features are fitted to the labels that are left. Each label blends what the features propose with
its estimates so far; it takes the blend if that lowers its honest loss, and is left alone otherwise, so the honest loss
of no label ever rises. What the next block sees of the training rows are honest estimates, too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rungwise.features import BlendedOpinions, FeatureMap, HonestFeatureMap, JoinedLayer
from rungwise.fitting.climb import FittedGate, climb
from rungwise.fitting.folds import Grouping
from rungwise.fitting.gate_search import GateSettings
from rungwise.fitting.leaks import without_leaks
from rungwise.fitting.losses import Loss
from rungwise.fitting.objective import weighted_sum
from rungwise.fitting.proposals import Proposal, make_proposals
from rungwise.fitting.readout import PENALTIES
from rungwise.fitting.training import BlockReport, Callback, Training
from rungwise.fitting.voices import choose_shares
from rungwise.network import Block, ResidualNetwork

LEVEL_TOLERANCE = 0.05
"""A label counts as learned once 95 % of all that is ever gained over its frequency has been gained."""

# A smaller gain may be an accident of the honest rows.
_STANDARD_ERRORS = 1.0
# Forests tell importance for free, readouts by shuffling: these are asked if they speak so much louder only.
_SHUFFLED = 0.1
# A block that lowers the loss of all that was learned by less than this fraction is not worth its place; it needs more
# if it is made of several kinds of features.
_LEAST_GAIN, _LEAST_GAIN_OF_BLENDS = 0.0025, 0.005
# Gains fall from block to block to a third or less, unless labels rise on which others may stand: their loss falls by
# more than a share of their frequency's. A block of several kinds that is fitted is taken for less, yet to fit another
# for a hundredth of the frequencies' loss costs too much: after one that gained less than three it is not tried. Of
# labels that are nearly learned a large part of the loss that is left is still small.
_PROMISING_GAIN, _RISE = 0.03, 0.25
# A label of which no more than this share of its frequency's loss is left has nothing to gain.
_NEARLY_EXACT = 1e-3


@dataclass(frozen=True)
class LayerwiseFit:
    """The result of `fit_layerwise`.

    Attributes
    ----------
    network : ResidualNetwork
    reports : list of BlockReport
    prior_loss, prior_error : Tensor of shape (n_labels,)
        Honest loss and error rate of predicting each label by its frequency.
    estimates : Tensor of shape (n, n_labels)
        Honest estimates of the training rows after the last block.
    error : Tensor of shape (n_labels,)
        Their error rate.
    importance : Tensor of shape (n_entries, n_labels)
        For each label, the importance of the stream entries in the last block that gained it much.
    gates : dict of int to FittedGate
        For each label that a gate settled.
    """

    network: ResidualNetwork
    reports: list[BlockReport]
    prior_loss: Tensor
    prior_error: Tensor
    estimates: Tensor
    error: Tensor
    importance: Tensor
    gates: dict[int, FittedGate]


@torch.no_grad()
def fit_layerwise(
    x: Tensor,
    targets: Tensor,
    weights: Tensor,
    grouping: Grouping,
    features: Sequence[FeatureMap | HonestFeatureMap],
    loss: Loss,
    *,
    gates: GateSettings | None = None,
    neighborhood: Any = None,
    solver: str = "exact",
    penalties: Sequence[float] = PENALTIES,
    max_depth: int = 20,
    tolerance: float = 0.01,
    generator: torch.Generator,
    callbacks: Sequence[Callback] = (),
) -> LayerwiseFit:
    """Train a residual network block by block.

    Parameters
    ----------
    x : Tensor of shape (n, n_inputs), or with a neighborhood (n_instances, n_positions, n_inputs)
        Rows sorted so that each fold is a run of rows.
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0. With a neighborhood, n = n_instances · n_positions.
    weights : Tensor of shape (n, n_labels)
        Not negative; 0 where a label is not annotated.
    grouping : Grouping
        Folds and units of the n rows.
    features : sequence of FeatureMap or HonestFeatureMap
        For the labels that no gate settles. In every block each label blends what they say, by honest loss; after the
        first, those that only read labels back out of honest estimates are not heard (`rungwise.fitting.leaks`).
    loss : Loss
    gates : GateSettings, optional
        What gates to look for first; None for none at all, as in the paper.
    neighborhood : Neighborhood, optional
    solver : {"exact", "sgd"}
    penalties : sequence of float
        See `rungwise.fitting.readout.PENALTIES`.
    max_depth : int
        Most blocks. There are fewer if labels gain no more, or too little for blocks of several kinds of features.
    tolerance : float
        A label takes an update that lowers its honest loss by more than this fraction, and more than a standard error.
    generator : torch.Generator
        On the CPU.
    callbacks : sequence of callable
        Each is called with the `BlockReport` of every block.
    """
    network = ResidualNetwork(x.shape[-1], targets.shape[1], link=loss.link, neighborhood=neighborhood)
    training = Training(network, x, targets, weights, grouping, loss, generator, callbacks)

    best_of_features = torch.full_like(training.loss_now, float("nan"))

    def has_better(labels: Tensor, loss: Tensor) -> Tensor:
        # The first kind stands for all, and once a label is enough: this costs nearly as much as a block.
        new = labels[best_of_features[labels].isnan()]
        if len(new):
            proposals = make_proposals(training, new, features[:1], solver, penalties)
            best_of_features[new] = float("inf")
            for proposal in proposals:
                best_of_features[new] = torch.minimum(best_of_features[new], proposal.loss)
        return best_of_features[labels] < (1 - tolerance) * loss

    fitted = {} if gates is None else climb(training, gates, max_depth, has_better)
    left = torch.ones(targets.shape[1], dtype=torch.bool, device=targets.device)
    left[list(fitted)] = False
    while len(training.reports) < max_depth:
        # Nearly exact labels are left alone: to fit them again costs as much as the others, and lets noise back in.
        labels = (left & (training.loss_now > _NEARLY_EXACT * training.prior_loss)).nonzero()[:, 0]
        if not len(labels) or not _add_block(training, labels, features, solver, penalties, tolerance):
            break
    return LayerwiseFit(
        network,
        training.reports,
        training.prior_loss,
        training.prior_error,
        training.stream.estimates,
        training.error_now,
        training.importance,
        fitted,
    )


def _add_block(
    training: Training,
    labels: Tensor,
    features: Sequence[FeatureMap | HonestFeatureMap],
    solver: str,
    penalties: Sequence[float],
    tolerance: float,
) -> bool:
    """Blend what the features propose for some labels, and add a block with the updates that are worth taking, if any.

    The estimates so far are one more voice in the blend. Return whether another block may be worth its cost.
    """
    proposed = make_proposals(training, labels, features, solver, penalties)
    proposals = without_leaks(training, labels, proposed)
    if not proposals:
        return False
    before = training.stream.estimates[:, labels]
    candidates = torch.stack([before, *(proposal.estimates for proposal in proposals)])
    if len(proposed) == 1 and proposed[0].kept:  # the paper's block
        share = candidates.new_tensor([[0.0], [1.0]]).expand(2, len(labels))
    else:
        kinds = [proposal.name for proposal in proposals]
        targets, weights = training.targets[:, labels], training.weights[:, labels]
        share = choose_shares(candidates, kinds, targets, weights, training.grouping.unit, training.loss.link)
    estimates = torch.einsum("pj,pij->ij", share, candidates)
    loss, _ = training.loss_and_error(estimates, labels)
    loss_before, prior_loss = training.loss_now[labels], training.prior_loss[labels]
    deviation = _standard_error(training, labels, before, estimates)
    n_kinds = len({proposal.name for proposal in proposed})
    least_gain = _LEAST_GAIN if n_kinds == 1 else _LEAST_GAIN_OF_BLENDS
    taken = _worth_taking(loss_before, loss, deviation, prior_loss, tolerance, least_gain)
    if not taken.any():
        return False

    gained = taken & (loss_before - loss > LEVEL_TOLERANCE * (prior_loss - loss))
    _measure_importance(training, labels, proposals, share[1:], gained)
    penalty = torch.stack([proposal.penalty for proposal in proposals]).gather(0, share[1:].argmax(0)[None])[0]
    voices: dict[str, Tensor] = {}
    for own, proposal in zip(share[1:, taken], proposals, strict=True):
        voices[proposal.name] = voices.get(proposal.name, 0) + own
    block = _mix(labels[taken], taken, proposals, share)
    training.add(block, estimates[:, taken], voices, penalty[taken])
    loss_after = torch.where(taken, loss, loss_before)
    return n_kinds == 1 or _is_promising(loss_before, loss_after, prior_loss, tolerance)


def _worth_taking(
    before: Tensor, after: Tensor, deviation: Tensor, prior: Tensor, tolerance: float, least_gain: float
) -> Tensor:
    """Return which labels take their update, bool (n_some,): none if all together do not gain enough for a block.

    However many labels there are that nothing tells, others are worth a block: labels of which something was learned
    before, or is now, beyond what would be an accident among so many.

    Parameters
    ----------
    before, after, deviation, prior : Tensor of shape (n_some,)
        Honest loss now and after the update, the standard error of the difference, and the loss of the frequency.
    tolerance, least_gain : float
        Least gains of a label and of all together, as shares of their loss.
    """
    gain = before - after
    taken = (gain > tolerance * before) & (gain > _STANDARD_ERRORS * deviation)
    if gain[taken].sum() > least_gain * before.sum():
        return taken
    # About the largest of so many standard normal variables. By accident an update gains half as many standard errors
    # at most, as its square is lost again; three quarters are beyond doubt.
    largest = (2 * math.log(len(before))) ** 0.5
    learned = (before < (1 - tolerance) * prior) | (taken & (gain > 0.75 * largest * deviation))
    taken &= learned
    return taken & bool(gain[taken].sum() > least_gain * before[learned].sum())


def _is_promising(before: Tensor, after: Tensor, prior: Tensor, tolerance: float) -> bool:
    """Return whether the block after one that lowered losses, each (n_some,), so far may gain enough.

    Parameters as of `_worth_taking`; labels of which nothing was ever learned do not count.
    """
    learned = after < (1 - tolerance) * prior
    gain = (before - after)[learned]
    return bool((gain > _RISE * prior[learned]).any() or gain.sum() > _PROMISING_GAIN * prior[learned].sum())


def _mix(labels: Tensor, taken: Tensor, proposals: Sequence[Proposal], share: Tensor) -> Block:
    """Return the block that gives the labels taken, of those proposed for, their shares of the estimates and proposals.

    Parameters
    ----------
    labels : Tensor of shape (n_taken,)
    taken : Tensor of shape (n_some,), bool
    proposals : sequence of Proposal
    share : Tensor of shape (1 + n_proposals, n_some)
        Of the estimates so far, and of each proposal.
    """
    keep, shares = share[0, taken].clone(), share[1:, taken]
    bias = torch.zeros_like(keep)
    opinions: list[nn.Module] = []
    layers: list[nn.Module] = []
    weights = [keep.new_zeros(0, len(labels))]
    heard = []
    for own, proposal in zip(shares, proposals, strict=True):
        if not own.any():
            continue
        if proposal.weight is None:
            opinions.append(proposal.layer)
            heard.append(own)
        elif layers and layers[-1] is proposal.layer:  # the same units, from another start
            weights[-1] = weights[-1] + proposal.weight[:, taken] * own
        else:
            layers.append(proposal.layer)
            weights.append(proposal.weight[:, taken] * own)
        bias += proposal.bias[taken] * own
        keep += proposal.kept * own
    if opinions:
        layers.insert(0, BlendedOpinions(opinions, torch.stack(heard), taken.nonzero()[:, 0]))
    layer = layers[0] if len(layers) == 1 else JoinedLayer(layers)
    return Block(layer, torch.cat(weights), bias, labels, keep)


def _measure_importance(
    training: Training, labels: Tensor, proposals: Sequence[Proposal], shares: Tensor, gained: Tensor
) -> None:
    """Record the importance of the stream entries for the labels that gained, as their loudest proposal tells it."""
    slow = torch.tensor([proposal.shuffles for proposal in proposals], device=shares.device)
    told_by = (shares * torch.where(slow, _SHUFFLED, 1.0)[:, None]).argmax(0)
    for which, proposal in enumerate(proposals):
        members = (gained & (told_by == which)).nonzero()[:, 0]
        if len(members):
            training.importance[:, labels[members]] = proposal.importance(members)


def _standard_error(training: Training, labels: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Return the standard error of the gain of some labels' honest loss, (n_some,).

    Units are what is independent: copies of a row, or rows of one group, count as one.
    """
    targets, shares = training.targets[:, labels], training.shares[:, labels]
    gain = training.loss.value(before, targets) - training.loss.value(after, targets)
    apart = shares * (gain - weighted_sum(gain, shares))
    return torch.zeros_like(apart).index_add_(0, training.grouping.unit, apart).square().sum(0).sqrt()
