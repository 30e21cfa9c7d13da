"""A fit under way: the network so far, the honest stream of its training rows, and what each block did."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rungwise.features.opinions import nearly_certain
from rungwise.fitting.folds import Grouping, evenly_spaced
from rungwise.fitting.losses import Loss
from rungwise.fitting.objective import Objective, normalise, weighted_sum
from rungwise.fitting.readout import fit_readout
from rungwise.network import LINKS, Block, ResidualNetwork

# What the network says once it has seen a row's labels is known of about so many training rows, and of so many examples
# where each has many positions.
_SEEN_ROWS, _LEAST_EXAMPLES = 500, 20


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
        not fit one. Of the kind of features with the largest share, if there are several.
    shares : dict of str to Tensor
        For each kind of features, its share in the new estimates; what is missing from 1 are the estimates before.
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
    shares: dict[str, Tensor]
    seconds: float


Callback = Callable[[BlockReport], None]


@dataclass(frozen=True)
class Generators:
    """A generator for each purpose, so that what one draws does not change what another will draw.

    The solver and the gate search draw as many numbers as there are rows; layers must not depend on how many that were.

    Attributes
    ----------
    layers, solver, attribution, gates : torch.Generator
        On the CPU.
    """

    layers: torch.Generator
    solver: torch.Generator
    attribution: torch.Generator
    gates: torch.Generator

    @classmethod
    def spawn(cls, generator: torch.Generator) -> "Generators":
        """Return generators whose seeds are drawn from one."""
        seeds = torch.randint(2**63 - 1, (4,), generator=generator).tolist()
        return cls(*(torch.Generator().manual_seed(seed) for seed in seeds))


class Training:
    """The state that blocks are added to.

    Parameters
    ----------
    network : ResidualNetwork
        Without blocks.
    x : Tensor of shape (n, n_inputs), or with a neighborhood (n_instances, n_positions, n_inputs)
    targets, weights : Tensor of shape (n, n_labels)
    grouping : Grouping
    loss : Loss
    generator : torch.Generator
        Seeds the `Generators`.
    callbacks : sequence of callable

    Attributes
    ----------
    generators : Generators
    stream : Stream
        Of the training rows, with honest estimates.
    seen_rows : Tensor of int64
        Some rows, at equal distances; with a neighborhood, all positions of some instances.
    seen : Stream
        Of these rows, with what the network says about them, which is not honest.
    loss_now, error_now : Tensor of shape (n_labels,)
        Honest loss and error rate of every label.
    prior_loss, prior_error : Tensor of shape (n_labels,)
        Honest loss and error rate of predicting each label by its frequency.
    rung : Tensor of int64, shape (n_labels,)
        The block after which `find_rung` found the label nearly certain, from 1; 0 if it is in doubt.
    importance : Tensor of shape (n_entries, n_labels)
    reports : list of BlockReport
    """

    def __init__(
        self,
        network: ResidualNetwork,
        x: Tensor,
        targets: Tensor,
        weights: Tensor,
        grouping: Grouping,
        loss: Loss,
        generator: torch.Generator,
        callbacks: Sequence[Callback],
    ) -> None:
        self.network, self.targets, self.weights = network, targets, weights
        self.grouping = grouping
        self.loss, self.generators, self.callbacks = loss, Generators.spawn(generator), callbacks
        self.shares = normalise(weights)
        self.stream = network.start(x)
        n_positions = len(targets) // len(x)
        some = evenly_spaced(len(x), max(_LEAST_EXAMPLES, _SEEN_ROWS // n_positions)).to(x.device)
        self.seen_rows = (n_positions * some[:, None] + torch.arange(n_positions, device=x.device)).flatten()
        self.seen = network.start(x[some])
        everything = torch.arange(targets.shape[1], device=targets.device)
        prior = _honest_constants(loss, targets, weights, grouping.folds)
        self.prior_loss, self.prior_error = self.loss_and_error(prior, everything)
        self.loss_now, self.error_now = self.loss_and_error(self.stream.estimates, everything)
        self.rung = torch.zeros_like(everything)
        self.importance = targets.new_zeros(self.stream.entries.shape[1], targets.shape[1])
        self.reports: list[BlockReport] = []
        self._began = time.perf_counter()

    def loss_and_error(self, estimates: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss and error rate of estimates of some labels, (n, n_some), each of shape (n_some,)."""
        targets, shares = self.targets[:, labels], self.shares[:, labels]
        wrong = ((estimates > 0) != (targets > 0)).to(shares.dtype)
        return weighted_sum(self.loss.value(estimates, targets), shares), weighted_sum(wrong, shares)

    def add(self, block: Block, estimates: Tensor, shares: dict[str, Tensor], penalty: Tensor | None = None) -> None:
        """Add a block, with the honest estimates that it gives for its labels, (n, n_changed), and report it."""
        labels = block.labels
        self.network.blocks.append(block)
        self.stream.update(labels, estimates, block.settle)
        self.seen.apply(block)
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
            shares={name: torch.zeros_like(loss_after).index_put((labels,), own).cpu() for name, own in shares.items()},
            seconds=now - self._began,
        )
        self._began = now
        self.loss_now, self.error_now = loss_after, error_after
        self.reports.append(report)
        for callback in self.callbacks:
            callback(report)

    def find_rung(self) -> None:
        """Place labels on the rung of the last block that have become nearly certain."""
        labels = (self.rung == 0).nonzero()[:, 0]
        read = LINKS[self.loss.link](self.stream.estimates[:, labels])
        certain = nearly_certain(read, self.targets[:, labels], self.shares[:, labels])
        certain |= self.stream.settled[labels]  # right, even where annotations are not
        self.rung[labels[certain]] = len(self.reports)


def _honest_constants(loss: Loss, targets: Tensor, weights: Tensor, folds: Sequence[slice]) -> Tensor:
    """Return for every row and label, (n, n_labels), the constant that is best for the rows of all other folds.

    A constant only sees how much weight each fold has on +1 and on -1: two rows stand for a fold.
    """
    positive = weights * (targets > 0)
    sums = [part[rows].sum(0) for rows in folds for part in (positive, weights - positive)]
    signs = targets.new_tensor([1.0, -1.0]).repeat(len(folds))[:, None].expand(-1, targets.shape[1])
    objective = Objective(loss, signs[:, :0], signs, torch.stack(sums), torch.zeros_like(signs))
    pairs = [slice(2 * fold, 2 * fold + 2) for fold in range(len(folds))]
    constants = fit_readout(objective, pairs, penalties=[float("inf")]).honest_update[::2]
    return torch.cat([constant.expand_as(targets[rows]) for constant, rows in zip(constants, folds, strict=True)])
