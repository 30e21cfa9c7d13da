"""The layerwise loop (arXiv 2601.00455, section 2): add one fitted block after another until no label gains by it.

Every block is fitted to all labels on top of the estimates so far. A label takes the block's update if that lowers its
honest loss, and is left alone otherwise, so the honest loss of no label ever rises. What the next block sees of the
training rows are honest estimates, too.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rungwise.features import FeatureMap
from rungwise.fitting.attribution import sampled_loss, shuffle_importance
from rungwise.fitting.losses import Loss
from rungwise.fitting.objective import Objective, normalise, weighted_sum
from rungwise.fitting.readout import PENALTIES, fit_readout
from rungwise.network import Block, ResidualNetwork

LEVEL_TOLERANCE = 0.05
"""A label counts as learned once 95 % of all that is ever gained over its frequency has been gained."""


@dataclass(frozen=True)
class BlockReport:
    """What one block did, for callbacks and the history; every tensor has shape (n_labels,) and lies on the CPU."""

    block: int
    loss_before: Tensor
    loss_after: Tensor
    error_before: Tensor
    error_after: Tensor
    taken: Tensor
    penalty: Tensor
    seconds: float


Callback = Callable[[BlockReport], None]


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
    importance : Tensor of shape (n_inputs + n_labels, n_labels)
        For each label, the importance of the stream entries in the last block that gained it much.
    """

    network: ResidualNetwork
    reports: list[BlockReport]
    prior_loss: Tensor
    estimates: Tensor
    importance: Tensor


@torch.no_grad()
def fit_layerwise(
    x: Tensor,
    targets: Tensor,
    weights: Tensor,
    folds: Sequence[slice],
    features: FeatureMap,
    loss: Loss,
    *,
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
    x : Tensor of shape (n, n_inputs)
        Rows sorted so that each fold is a run of rows.
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
        Not negative; 0 where a label is not annotated.
    folds : sequence of slice
    features : FeatureMap
    loss : Loss
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
    n_inputs, n_labels = x.shape[1], targets.shape[1]
    network = ResidualNetwork(n_inputs, n_labels, link=loss.link)
    shares = normalise(weights)
    estimates = torch.zeros_like(targets)

    def loss_and_error(estimates: Tensor) -> tuple[Tensor, Tensor]:
        wrong = ((estimates > 0) != (targets > 0)).to(shares.dtype)
        return weighted_sum(loss.value(estimates, targets), shares), weighted_sum(wrong, shares)

    constant_alone = Objective(loss, x[:, :0], targets, weights, estimates)
    prior_loss, _ = loss_and_error(fit_readout(constant_alone, folds, penalties=[float("inf")]).honest_update)
    importance = x.new_zeros(n_inputs + n_labels, n_labels)
    reports: list[BlockReport] = []
    loss_before, error_before = loss_and_error(estimates)
    for depth in range(1, max_depth + 1):
        began = time.perf_counter()
        stream = network.stream(x, estimates)
        layer = features.fit(stream, generator)
        objective = Objective(loss, layer(stream), targets, weights, estimates)
        readout = fit_readout(objective, folds, penalties, solver, generator)
        proposed = estimates + readout.honest_update
        proposed_loss, _ = loss_and_error(proposed)
        taken = loss_before - proposed_loss > tolerance * loss_before
        if not taken.any():
            break
        network.blocks.append(Block(layer, readout.weight * taken, readout.bias * taken))

        gained = taken & (loss_before - proposed_loss > LEVEL_TOLERANCE * (prior_loss - proposed_loss))
        labels = gained.nonzero()[:, 0]
        judge = sampled_loss(loss.value, estimates[:, labels], targets[:, labels], weights[:, labels])
        importance[:, labels] = shuffle_importance(layer, stream, readout, labels, judge, folds, generator)

        estimates = torch.where(taken, proposed, estimates)
        loss_after, error_after = loss_and_error(estimates)
        report = BlockReport(
            block=depth,
            loss_before=loss_before.cpu(),
            loss_after=loss_after.cpu(),
            error_before=error_before.cpu(),
            error_after=error_after.cpu(),
            taken=taken.cpu(),
            penalty=readout.penalty.cpu(),
            seconds=time.perf_counter() - began,
        )
        reports.append(report)
        for callback in callbacks:
            callback(report)
        loss_before, error_before = loss_after, error_after
    return LayerwiseFit(network, reports, prior_loss, estimates, importance)
