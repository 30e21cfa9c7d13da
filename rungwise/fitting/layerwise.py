"""The layerwise loop (arXiv 2601.00455, section 2): add one fitted block after another until no label gains by it.

First the gates: as long as some label is explained by few inputs and settled labels, a block settles all that are. Then
blocks of the given features are fitted to the labels that are left. A label takes such a block's update if that lowers
its honest loss, and is left alone otherwise, so the honest loss of no label ever rises. What the next block sees of the
training rows are honest estimates, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from rungwise.features import FeatureMap, JoinedLayer
from rungwise.fitting.attribution import sampled_loss, shuffle_importance
from rungwise.fitting.climb import FittedGate, climb
from rungwise.fitting.gate_search import GateSettings
from rungwise.fitting.losses import Loss
from rungwise.fitting.objective import Objective
from rungwise.fitting.readout import PENALTIES, Readout, fit_readout
from rungwise.fitting.training import BlockReport, Callback, Training
from rungwise.network import Block, ResidualNetwork

LEVEL_TOLERANCE = 0.05
"""A label counts as learned once 95 % of all that is ever gained over its frequency has been gained."""


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
    folds: Sequence[slice],
    features: Sequence[FeatureMap],
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
    folds : sequence of slice
        Of the n rows.
    features : sequence of FeatureMap
        For the labels that no gate settles. In every block they compete: each label takes the one whose readout has the
        lowest honest loss.
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
        A label takes an update that lowers its honest loss by more than this fraction.
    generator : torch.Generator
        On the CPU.
    callbacks : sequence of callable
        Each is called with the `BlockReport` of every block.
    """
    network = ResidualNetwork(x.shape[-1], targets.shape[1], link=loss.link, neighborhood=neighborhood)
    training = Training(network, x, targets, weights, folds, loss, generator, callbacks)

    def has_better(labels: Tensor, loss: Tensor) -> Tensor:
        proposals = _proposals(training, labels, features, solver, penalties)
        return torch.stack([proposal.loss for proposal in proposals]).amin(0) < (1 - tolerance) * loss

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
    """What one hidden layer offers the labels: a readout on top of the estimates so far, or in place of them."""

    layer: nn.Module
    readout: Readout
    objective: Objective
    kept: bool
    estimates: Tensor
    loss: Tensor


def _add_block(
    training: Training,
    labels: Tensor,
    features: Sequence[FeatureMap],
    solver: str,
    penalties: Sequence[float],
    tolerance: float,
) -> bool:
    """Let the features compete for some labels, and add a block with the updates that are worth taking, if any."""
    proposals = _proposals(training, labels, features, solver, penalties)
    losses = torch.stack([proposal.loss for proposal in proposals])
    best_loss, best = losses.min(0)
    loss_before, prior_loss = training.loss_now[labels], training.prior_loss[labels]
    taken = loss_before - best_loss > tolerance * loss_before
    if not taken.any():
        return False
    gained = taken & (loss_before - best_loss > LEVEL_TOLERANCE * (prior_loss - best_loss))

    layers: list[nn.Module] = []
    weights: list[Tensor] = []
    estimates = training.stream.estimates[:, labels]
    bias, penalty = torch.zeros_like(best_loss), torch.zeros_like(best_loss)
    keep = torch.ones_like(taken)
    for which, proposal in enumerate(proposals):
        own = taken & (best == which)
        if not own.any():
            continue
        if layers and layers[-1] is proposal.layer:  # the same units, from another start
            weights[-1] = weights[-1] + proposal.readout.weight * own
        else:
            layers.append(proposal.layer)
            weights.append(proposal.readout.weight * own)
        bias[own], penalty[own] = proposal.readout.bias[own], proposal.readout.penalty[own]
        estimates[:, own], keep[own] = proposal.estimates[:, own], proposal.kept
        if (gained & own).any():
            _attribute(training, proposal, labels, gained & own)
    layer = layers[0] if len(layers) == 1 else JoinedLayer(layers)
    weight = torch.cat(weights)[:, taken]
    training.add(Block(layer, weight, bias[taken], labels[taken], keep[taken]), estimates[:, taken], penalty[taken])
    return True


def _proposals(
    training: Training, labels: Tensor, features: Sequence[FeatureMap], solver: str, penalties: Sequence[float]
) -> list[_Proposal]:
    entries, before = training.stream.entries, training.stream.estimates[:, labels]
    bare = Objective(training.loss, entries[:, :0], training.targets[:, labels], training.weights[:, labels], before)
    proposals = []
    for feature_map in features:
        layer = feature_map.fit(entries, training.generators.layers, bare, training.stream.label_entries)
        if layer is None:
            continue
        offsets = [before, torch.zeros_like(before)] if feature_map.replaces and before.any() else [before]
        # All starts in one problem: they share the hidden units, and so everything that is costly about them.
        repeated = replace(
            bare,
            hidden=layer(entries),
            targets=bare.targets.repeat(1, len(offsets)),
            weights=bare.weights.repeat(1, len(offsets)),
            offset=torch.cat(offsets, dim=1),
        )
        readouts = fit_readout(repeated, training.folds, penalties, solver, training.generators.solver)
        for start, offset in enumerate(offsets):
            columns = slice(start * len(labels), (start + 1) * len(labels))
            readout = readouts.select(columns)
            estimates = offset + readout.honest_update
            loss, _ = training.loss_and_error(estimates, labels)
            proposals.append(_Proposal(layer, readout, replace(bare, offset=offset), offset is before, estimates, loss))
    return proposals


def _attribute(training: Training, proposal: _Proposal, labels: Tensor, gained: Tensor) -> None:
    """Record for the labels that gained much which stream entries their update stands on."""
    objective = proposal.objective
    judge = sampled_loss(
        training.loss.value, objective.offset[:, gained], objective.targets[:, gained], objective.weights[:, gained]
    )
    training.importance[:, labels[gained]] = shuffle_importance(
        proposal.layer,
        training.stream.entries,
        proposal.readout,
        gained.nonzero()[:, 0],
        judge,
        training.folds,
        training.generators.attribution,
    )
