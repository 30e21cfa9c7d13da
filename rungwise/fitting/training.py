"""A fit under way: the network so far, the honest stream of its training rows, and what each block did."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rungwise.fitting.losses import Loss
from rungwise.fitting.objective import Objective, normalise, weighted_sum
from rungwise.fitting.readout import fit_readout
from rungwise.network import Block, ResidualNetwork


@dataclass(frozen=True)
class BlockReport:
    """What one block did, for callbacks and the history; every tensor has shape (n_labels,) and lies on the CPU.

    Attributes
    ----------
    block : int
        From 1.
    loss_before, loss_after, error_before, error_after : Tensor
        Honest loss and error rate on the training rows.
    taken : Tensor of bool
        Whether the label took an update.
    settled : Tensor of bool
        Whether the block settled the label.
    penalty : Tensor
        Ridge penalty of the label's readout, in the units of `rungwise.fitting.readout.PENALTIES`; NaN if the block did
        not fit one.
    seconds : float
    """

    block: int
    loss_before: Tensor
    loss_after: Tensor
    error_before: Tensor
    error_after: Tensor
    taken: Tensor
    settled: Tensor
    penalty: Tensor
    seconds: float


Callback = Callable[[BlockReport], None]


class Training:
    """The state that blocks are added to.

    Parameters
    ----------
    network : ResidualNetwork
        Without blocks.
    x : Tensor of shape (n, n_inputs), or with a neighborhood (n_instances, n_positions, n_inputs)
    targets, weights : Tensor of shape (n, n_labels)
    folds : sequence of slice
    loss : Loss
    generator : torch.Generator
    callbacks : sequence of callable

    Attributes
    ----------
    stream : Stream
        Of the training rows, with honest estimates.
    loss_now, error_now : Tensor of shape (n_labels,)
        Honest loss and error rate of every label.
    prior_loss : Tensor of shape (n_labels,)
        Honest loss of predicting each label by its frequency.
    importance : Tensor of shape (n_entries, n_labels)
    row_generator : torch.Generator
        Draws the rows that are measured on.
    reports : list of BlockReport
    """

    def __init__(
        self,
        network: ResidualNetwork,
        x: Tensor,
        targets: Tensor,
        weights: Tensor,
        folds: Sequence[slice],
        loss: Loss,
        generator: torch.Generator,
        callbacks: Sequence[Callback],
    ) -> None:
        self.network, self.targets, self.weights, self.folds = network, targets, weights, folds
        self.loss, self.generator, self.callbacks = loss, generator, callbacks
        # Of its own, so that hidden units do not depend on the number of rows: a row twice is a row of weight 2.
        self.row_generator = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
        self.shares = normalise(weights)
        self.stream = network.start(x)
        everything = torch.arange(targets.shape[1], device=targets.device)
        constant_alone = Objective(loss, targets[:, :0], targets, weights, self.stream.estimates)
        prior = fit_readout(constant_alone, folds, penalties=[float("inf")]).honest_update
        self.prior_loss, _ = self.loss_and_error(prior, everything)
        self.loss_now, self.error_now = self.loss_and_error(self.stream.estimates, everything)
        self.importance = targets.new_zeros(self.stream.entries.shape[1], targets.shape[1])
        self.reports: list[BlockReport] = []
        self._began = time.perf_counter()

    def loss_and_error(self, estimates: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss and error rate of estimates of some labels, (n, n_some), each of shape (n_some,)."""
        targets, shares = self.targets[:, labels], self.shares[:, labels]
        wrong = ((estimates > 0) != (targets > 0)).to(shares.dtype)
        return weighted_sum(self.loss.value(estimates, targets), shares), weighted_sum(wrong, shares)

    def add(self, block: Block, estimates: Tensor, penalty: Tensor | None = None) -> None:
        """Add a block, with the honest estimates that it gives for its labels, (n, n_changed), and report it."""
        labels = block.labels
        self.network.blocks.append(block)
        self.stream.update(labels, estimates, block.settle)
        loss_after, error_after = self.loss_now.clone(), self.error_now.clone()
        loss_after[labels], error_after[labels] = self.loss_and_error(estimates, labels)
        nobody = torch.zeros(len(loss_after), dtype=torch.bool, device=labels.device)
        penalties = torch.full_like(loss_after, float("nan"))
        if penalty is not None:
            penalties[labels] = penalty
        now = time.perf_counter()
        report = BlockReport(
            block=len(self.reports) + 1,
            loss_before=self.loss_now.cpu(),
            loss_after=loss_after.cpu(),
            error_before=self.error_now.cpu(),
            error_after=error_after.cpu(),
            taken=nobody.index_fill(0, labels, True).cpu(),
            settled=nobody.index_put((labels,), block.settle).cpu(),
            penalty=penalties.cpu(),
            seconds=now - self._began,
        )
        self._began = now
        self.loss_now, self.error_now = loss_after, error_after
        self.reports.append(report)
        for callback in self.callbacks:
            callback(report)
