"""The layerwise loop (arXiv 2601.00455, section 2): add one fitted block after another until no label gains by it.

First the gates: as long as some label is explained by few inputs and settled labels, a block settles all that are. Then
blocks of the given features are fitted to the labels that are left. Each label blends what the features propose with
its estimates so far; it takes the blend if that lowers its honest loss, and is left alone otherwise, so the honest loss
of no label ever rises. What the next block sees of the training rows are honest estimates, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rungwise.features import FeatureMap, HonestFeatureMap, JoinedLayer, LinearLayer, Opinions
from rungwise.fitting.attribution import sampled_loss, shuffle_importance
from rungwise.fitting.blend import blend
from rungwise.fitting.climb import FittedGate, climb
from rungwise.fitting.folds import Grouping
from rungwise.fitting.gate_search import GateSettings
from rungwise.fitting.losses import Loss
from rungwise.fitting.objective import Objective, weighted_sum
from rungwise.fitting.readout import PENALTIES, Readout, fit_readout
from rungwise.fitting.training import BlockReport, Callback, Training
from rungwise.network import Block, ResidualNetwork

LEVEL_TOLERANCE = 0.05
"""A label counts as learned once 95 % of all that is ever gained over its frequency has been gained."""

# A smaller gain may be an accident of the honest rows.
_STANDARD_ERRORS = 1.0
# A block that lowers the loss of all its labels together by less than this fraction is not worth its cost.
_LEAST_GAIN = 0.0025


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
        For the labels that no gate settles. In every block each label blends what they say, by honest loss.
    loss : Loss
    gates : GateSettings, optional
        What gates to look for first; None for none at all, as in the paper.
    neighborhood : Neighborhood, optional
    solver : {"exact", "sgd"}
    penalties : sequence of float
        See `rungwise.fitting.readout.PENALTIES`.
    max_depth : int
        Most blocks.
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
            proposals = _proposals(training, new, features[:1], solver, penalties)
            best_of_features[new] = float("inf")
            for proposal in proposals:
                best_of_features[new] = torch.minimum(best_of_features[new], proposal.loss)
        return best_of_features[labels] < (1 - tolerance) * loss

    fitted = {} if gates is None else climb(training, gates, max_depth, has_better)
    left = torch.ones(targets.shape[1], dtype=torch.bool, device=targets.device)
    left[list(fitted)] = False
    labels = left.nonzero()[:, 0]
    while len(labels) and len(training.reports) < max_depth:
        if not _add_block(training, labels, features, solver, penalties, tolerance):
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


@dataclass(frozen=True)
class _Proposal:
    """What one hidden layer offers some labels: their estimates by a readout of it, on top of those so far or not.

    Attributes
    ----------
    name : str
    layer : nn.Module
    weight : Tensor of shape (n_units, n_some)
    bias : Tensor of shape (n_some,)
    penalty : Tensor of shape (n_some,)
        NaN if there was none to choose.
    kept : bool
        Whether the readout is added to the estimates so far.
    estimates : Tensor of shape (n, n_some)
        Honest ones.
    loss : Tensor of shape (n_some,)
        Their loss.
    importance : callable
        Maps indices of some of the labels to the importance of the stream entries for them.
    """

    name: str
    layer: nn.Module
    weight: Tensor
    bias: Tensor
    penalty: Tensor
    kept: bool
    estimates: Tensor
    loss: Tensor
    importance: Callable[[Tensor], Tensor]


def _add_block(
    training: Training,
    labels: Tensor,
    features: Sequence[FeatureMap | HonestFeatureMap],
    solver: str,
    penalties: Sequence[float],
    tolerance: float,
) -> bool:
    """Blend what the features propose for some labels, and add a block with the updates that are worth taking, if any.

    The estimates so far are one more voice in the blend.
    """
    proposals = _proposals(training, labels, features, solver, penalties)
    if not proposals:
        return False
    before = training.stream.estimates[:, labels]
    candidates = torch.stack([before, *(proposal.estimates for proposal in proposals)])
    if len(proposals) == 1 and proposals[0].kept:  # the paper's block
        share = candidates.new_tensor([[0.0], [1.0]]).expand(2, len(labels))
    else:
        share = blend(training.loss, candidates, training.targets[:, labels], training.weights[:, labels])
    estimates = torch.einsum("pj,pij->ij", share, candidates)
    loss, _ = training.loss_and_error(estimates, labels)
    loss_before, prior_loss = training.loss_now[labels], training.prior_loss[labels]
    taken = loss_before - loss > tolerance * loss_before
    taken &= loss_before - loss > _STANDARD_ERRORS * _standard_error(training, labels, before, estimates)
    if (loss_before - loss)[taken].sum() <= _LEAST_GAIN * loss_before.sum():
        return False

    shares = share[1:] * taken
    layers: list[nn.Module] = []
    weights: list[Tensor] = []
    bias, penalty = torch.zeros_like(loss), torch.full_like(loss, float("nan"))
    keep = share[0].clone()
    for own, proposal in zip(shares, proposals, strict=True):
        if not own.any():
            continue
        if layers and layers[-1] is proposal.layer:  # the same units, from another start
            weights[-1] = weights[-1] + proposal.weight * own
        else:
            layers.append(proposal.layer)
            weights.append(proposal.weight * own)
        bias += proposal.bias * own
        keep += proposal.kept * own
    gained = taken & (loss_before - loss > LEVEL_TOLERANCE * (prior_loss - loss))
    loudest = shares.argmax(0)
    for which, proposal in enumerate(proposals):
        mainly = taken & (loudest == which)
        penalty[mainly] = proposal.penalty[mainly]
        members = (mainly & gained).nonzero()[:, 0]
        if len(members):
            training.importance[:, labels[members]] = proposal.importance(members)
    layer = layers[0] if len(layers) == 1 else JoinedLayer(layers)
    block = Block(layer, torch.cat(weights)[:, taken], bias[taken], labels[taken], keep[taken])
    voices: dict[str, Tensor] = {}
    for own, proposal in zip(shares, proposals, strict=True):
        voices[proposal.name] = voices.get(proposal.name, 0) + own[taken]
    training.add(block, estimates[:, taken], voices, penalty[taken])
    return True


def _standard_error(training: Training, labels: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Return the standard error of the gain of some labels' honest loss, (n_some,).

    Units are what is independent: copies of a row, or rows of one group, count as one.
    """
    targets, shares = training.targets[:, labels], training.shares[:, labels]
    gain = training.loss.value(before, targets) - training.loss.value(after, targets)
    apart = shares * (gain - weighted_sum(gain, shares))
    return torch.zeros_like(apart).index_add_(0, training.grouping.unit, apart).square().sum(0).sqrt()


def _proposals(
    training: Training,
    labels: Tensor,
    features: Sequence[FeatureMap | HonestFeatureMap],
    solver: str,
    penalties: Sequence[float],
) -> list[_Proposal]:
    stream, before = training.stream, training.stream.estimates[:, labels]
    entries = stream.entries
    objective = Objective(
        training.loss, entries[:, :0], training.targets[:, labels], training.weights[:, labels], before
    )
    proposals: list[_Proposal] = []
    for feature_map in features:
        generator = training.generators.layers
        if hasattr(feature_map, "fit_honest"):
            opinions = feature_map.fit_honest(entries, generator, objective, training.grouping)
            if opinions is not None:
                proposals.append(_of_opinions(training, labels, feature_map.name, opinions))
        elif (layer := feature_map.fit(entries, generator, objective, stream.label_entries)) is not None:
            proposals += _of_readouts(training, labels, feature_map, layer, objective, solver, penalties)
    return proposals


def _of_opinions(training: Training, labels: Tensor, name: str, opinions: Opinions) -> _Proposal:
    """Units that are estimates of the labels need no other readout than the identity."""
    loss, _ = training.loss_and_error(opinions.honest, labels)
    return _Proposal(
        name,
        opinions.layer,
        torch.eye(len(labels)).to(opinions.honest),
        torch.zeros_like(loss),
        torch.full_like(loss, float("nan")),
        False,
        opinions.honest,
        loss,
        opinions.importance,
    )


def _of_readouts(
    training: Training,
    labels: Tensor,
    feature_map: FeatureMap,
    layer: nn.Module,
    objective: Objective,
    solver: str,
    penalties: Sequence[float],
) -> list[_Proposal]:
    """Fit the readout of a layer on top of the estimates so far, and from zero where the features ask for it."""
    entries, before = training.stream.entries, objective.offset
    offsets = [before, torch.zeros_like(before)] if feature_map.replaces and before.any() else [before]
    # All starts in one problem: they share the hidden units, and so everything that is costly about them.
    repeated = replace(
        objective,
        hidden=layer(entries),
        targets=objective.targets.repeat(1, len(offsets)),
        weights=objective.weights.repeat(1, len(offsets)),
        offset=torch.cat(offsets, dim=1),
    )
    readouts = fit_readout(repeated, training.grouping.folds, penalties, solver, training.generators.solver)
    proposals = []
    for start, offset in enumerate(offsets):
        readout = readouts.select(slice(start * len(labels), (start + 1) * len(labels)))
        estimates = offset + readout.honest_update
        loss, _ = training.loss_and_error(estimates, labels)
        importance = partial(_importance, training, layer, readout, replace(objective, offset=offset))
        proposals.append(
            _Proposal(
                feature_map.name,
                layer,
                readout.weight,
                readout.bias,
                readout.penalty,
                offset is before,
                estimates,
                loss,
                importance,
            )
        )
    return proposals


def _importance(
    training: Training, layer: nn.Module, readout: Readout, objective: Objective, members: Tensor
) -> Tensor:
    """Return the importance of the stream entries for some of the labels of a readout."""
    if isinstance(layer, LinearLayer):
        return layer.importance(training.stream.entries, readout.weight[:, members])
    judge = sampled_loss(
        training.loss.value, objective.offset[:, members], objective.targets[:, members], objective.weights[:, members]
    )
    entries, generator = training.stream.entries, training.generators.attribution
    return shuffle_importance(layer, entries, readout, members, judge, training.grouping.folds, generator)
