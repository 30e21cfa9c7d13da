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
from torch import Tensor

from rungwise.features import FeatureMap
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
    prior_loss : Tensor of shape (n_labels,)
        Honest loss of predicting each label by its frequency.
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
    features: FeatureMap,
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
    features : FeatureMap
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
    fitted = {} if gates is None else climb(training, gates, max_depth)
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
        training.stream.estimates,
        training.error_now,
        training.importance,
        fitted,
    )


def _add_block(
    training: Training, labels: Tensor, features: FeatureMap, solver: str, penalties: Sequence[float], tolerance: float
) -> bool:
    """Fit a block of the features to some labels, and add it with the updates that are worth taking, if any."""
    entries, before = training.stream.entries, training.stream.estimates[:, labels]
    objective = Objective(
        training.loss, entries[:, :0], training.targets[:, labels], training.weights[:, labels], before
    )
    layer = features.fit(entries, training.generator, objective)
    objective = replace(objective, hidden=layer(entries))

    def propose(objective: Objective) -> tuple[Readout, Tensor, Tensor]:
        readout = fit_readout(objective, training.folds, penalties, solver, training.generator)
        proposed = objective.offset + readout.honest_update
        return readout, proposed, training.loss_and_error(proposed, labels)[0]

    readout, proposed, proposed_loss = propose(objective)
    keep = torch.ones_like(labels, dtype=torch.bool)
    if features.replaces and bool(before.any()):
        anew, proposed_anew, loss_anew = propose(replace(objective, offset=torch.zeros_like(before)))
        keep = proposed_loss <= loss_anew
        readout = _choose(keep, readout, anew)
        proposed = torch.where(keep, proposed, proposed_anew)
        proposed_loss = torch.minimum(proposed_loss, loss_anew)
    loss_before, prior_loss = training.loss_now[labels], training.prior_loss[labels]
    taken = loss_before - proposed_loss > tolerance * loss_before
    if not taken.any():
        return False

    gained = taken & (loss_before - proposed_loss > LEVEL_TOLERANCE * (prior_loss - proposed_loss))
    offset = torch.where(keep, before, 0.0)[:, gained]
    judge = sampled_loss(training.loss.value, offset, objective.targets[:, gained], objective.weights[:, gained])
    training.importance[:, labels[gained]] = shuffle_importance(
        layer, entries, readout, gained.nonzero()[:, 0], judge, training.folds, training.row_generator
    )
    block = Block(layer, readout.weight[:, taken], readout.bias[taken], labels[taken], keep[taken])
    training.add(block, proposed[:, taken], readout.penalty[taken])
    return True


def _choose(first: Tensor, one: Readout, other: Readout) -> Readout:
    """Return the readout that is ``one`` for the labels where ``first`` holds, else ``other``."""
    return Readout(
        *(torch.where(first, getattr(one, name), getattr(other, name)) for name in Readout.__dataclass_fields__)
    )
