"""Gradient descent on the networks of learned features: those of all folds side by side."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from rungwise.features.affine import Affine
from rungwise.features.learned_layer import LearnedLayer, Networks, Weights
from rungwise.features.opinions import nearly_certain, of_own_fold
from rungwise.features.rounding import rounded_factors

# Steps are shorter the deeper the networks, and the wider from some width on: the more weights move an output at once.
# From that width on rounded products are faster, too (at 256 units by 15 %, at 64 slower by a third).
_LEARNING_RATE = 8e-3
_WIDE = 256
# Weights shrink towards 0 by this share of the rate. Adam divides gradients by their root mean square: only weights
# whose mean gradient is a larger share of it than this stay. Logic reads few of many units; what rows learnt by heart
# would need is not worth it. Every fourth step is often enough, for a quarter of the cost.
_SHRINKAGE, _STEPS_OF_A_SHRINKAGE = 0.07, 4
# How often in an epoch weights are added to the mean that is judged and kept: steps leave noise that it lacks.
_ADDED = 16
# Initial weights as a share of those that keep the scale of what they read: from small ones hidden units turn to what
# labels need, from large ones the readout finds it in whatever directions they have.
_INITIAL = 0.1
# In units of the dropout of hidden units.
_DROPOUT_OF_ENTRIES = 0.2
# Epochs of a trial, which tells whether there is anything to learn; most epochs of a training; and how many without
# progress mean that the loss stands.
_TRIAL_EPOCHS, _MAX_EPOCHS, _PATIENCE = 5, 60, 3
# Steps become shorter when the honest loss stands, so many times; for the first time after this share of all epochs at
# the latest, as long ones leave noise.
_SHORTENED, _SHORTENINGS, _LONG = 0.2, 2, 0.8
# A new rung gains at least this share of what all labels have left.
LEAST_RUNG = 0.02
# Share of the honest loss: less progress is none, and what is left of a settled one is not worth an epoch.
_LEAST_PROGRESS, _SETTLED = 0.002, 1e-4
# Least steps of one epoch where there are rows enough, and the bounds of the batches that this gives. Small batches
# learn more from the same rows, larger ones from many rows, from ten thousand on, in the same time.
_STEPS, _MIN_BATCH, _MAX_BATCH, _MAX_BATCH_MANY_ROWS, _MANY_ROWS = 12, 16, 64, 128, 10_000


@dataclass(frozen=True)
class Examples:
    """What the networks are trained on; rows that are copies are one example.

    Attributes
    ----------
    entries : Tensor of shape (n, n_entries)
    positives : Tensor of shape (n, n_labels)
        Probabilities.
    weights : Tensor of shape (n,)
    fold : Tensor of shape (n,), int64
        The network that must not see the row.
    """

    entries: Tensor
    positives: Tensor
    weights: Tensor
    fold: Tensor


@dataclass(frozen=True)
class Trained:
    """Networks of some labels.

    Attributes
    ----------
    labels : Tensor of shape (n_some,), int64
    weights : Weights
    honest : Tensor of shape (n, n_some)
        Probabilities, each row's of the network that did not see it.
    loss : Tensor of shape (n_some,)
        Their mean squared error.
    """

    labels: Tensor
    weights: Weights
    honest: Tensor
    loss: Tensor

    def of(self, which: Tensor) -> "Trained":
        """Return the networks of some of these labels, given as a mask."""
        return Trained(self.labels[which], self.weights.of(which), self.honest[:, which], self.loss[which])


def share_out(groups: Sequence[Trained], n_labels: int) -> list[Trained]:
    """Return the networks with every label left to those that know it best."""
    losses = torch.stack([group.loss.new_full((n_labels,), torch.inf) for group in groups])
    for own, group in zip(losses, groups, strict=True):
        own[group.labels] = group.loss
    best = losses.argmin(0)
    shared = [group.of(best[group.labels] == which) for which, group in enumerate(groups)]
    return [group for group in shared if len(group.labels)]


class FoldNetworks:
    """All folds' networks side by side, in batched matrix products.

    Parameters
    ----------
    examples : Examples
    reading : Tensor of shape (n_entries,), bool
        The entries that networks read.
    width, n_layers : int
        Hidden units of a layer, and hidden layers.
    dropout : float in [0, 1)
    generator : torch.Generator
        On the CPU.
    """

    def __init__(
        self,
        examples: Examples,
        reading: Tensor,
        width: int,
        n_layers: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        self.reading, self.width, self.n_layers = reading, width, n_layers
        self.dropout, self.generator = dropout, generator
        stream, positives = examples.entries[:, reading], examples.positives
        self.stream, self.positives, self.net = stream, positives, examples.fold
        self.row_weights = examples.weights / examples.weights.mean()
        self.n_nets = int(self.net.max()) + 1
        self.rows = [(self.net != which).nonzero()[:, 0].cpu() for which in range(self.n_nets)]
        self.n_used = min(len(rows) for rows in self.rows)
        max_batch = _MAX_BATCH_MANY_ROWS if len(stream) >= _MANY_ROWS else _MAX_BATCH
        self.batch = max(_MIN_BATCH, min(max_batch, self.n_used // _STEPS))
        # Each net begins at the labels' frequencies in the rows that it may see.
        seen = self.row_weights * (self.net != torch.arange(self.n_nets, device=stream.device)[:, None])
        share = (seen @ positives) / seen.sum(1, keepdim=True).clamp(min=torch.finfo(seen.dtype).tiny)
        self.prior = torch.logit(share.clamp(1e-3, 1 - 1e-3))[:, None]
        self.frequency = torch.sigmoid(self.prior)[:, 0]
        self.loss_of_frequency = self._losses(self.frequency[self.net], positives)

    def _start(self, labels: Tensor) -> Weights:
        """Return networks of some labels as they begin, which know hardly more than their frequencies."""
        n_nets, width = self.n_nets, self.width

        def draw(n_in: int, n_out: int) -> Tensor:
            weight = _INITIAL * torch.randn(n_nets, n_in, n_out, generator=self.generator) / n_in**0.5
            return weight.to(self.stream.device)

        sizes = pairwise([self.stream.shape[1], *[width] * self.n_layers])
        hidden = [Affine(draw(n_in, n_out), self.stream.new_zeros(n_nets, 1, n_out)) for n_in, n_out in sizes]
        return Weights((*hidden, Affine(draw(width, len(labels)), self.prior[..., labels])))

    def train(self, asked: Tensor) -> Trained:
        """Train on those labels, given as a mask, of which a trial shows something.

        Others keep their frequency: they may be for a later block to learn, and until then they would cost as much, and
        be learnt by heart.
        """
        labels = asked.nonzero()[:, 0]
        trial = self._descend(labels, self._start(labels), _TRIAL_EPOCHS)
        trained = trial.of(trial.loss < (1 - _LEAST_PROGRESS) * self.loss_of_frequency[trial.labels])
        if len(trained.labels):
            trained = self._descend(trained.labels, trained.weights, _MAX_EPOCHS)
        # Entries that are not read have rows of W1, too.
        (read, bias1), *others = trained.weights.maps
        weight1 = read.new_zeros(self.n_nets, len(self.reading), self.width)
        weight1[:, self.reading] = read
        return replace(trained, weights=Weights((Affine(weight1, bias1), *others)))

    def is_rung(self, trained: Trained, loss_before: Tensor) -> bool:
        """Return whether labels became nearly certain that were not, and were worth enough of what all have left.

        Parameters
        ----------
        trained : Trained
            Of labels that were in doubt.
        loss_before : Tensor of shape (n_labels,)
            Mean squared error of the probabilities so far.
        """
        positives = self.positives[:, trained.labels]
        shares = (self.row_weights / self.row_weights.sum())[:, None].expand_as(positives)
        certain = nearly_certain(2 * trained.honest - 1, 2 * positives - 1, shares)
        gained = (loss_before[trained.labels] - trained.loss)[certain].sum()
        return bool(gained > LEAST_RUNG * loss_before.sum())

    def merge(self, groups: Sequence[Trained], link: str) -> tuple[LearnedLayer, Callable[[Tensor, Tensor], Tensor]]:
        """Return the layer of all labels, from groups of networks of these examples, and what single nets say.

        Labels of no group have their frequency. The callable maps rows, (n_some, n_entries), and the net of each,
        (n_some,), to probabilities, (n_some, n_labels).
        """
        frequency, n_nets = self.frequency, self.n_nets  # so that the examples are not kept with the callable

        def of_nets(entries: Tensor, net: Tensor) -> Tensor:
            probability = frequency[net]
            for group in groups:
                logits = [group.weights.net(which).logits for which in range(n_nets)]
                probability[:, group.labels] = torch.sigmoid(of_own_fold(logits, net, entries))
            return probability

        networks = [Networks(group.labels, group.weights) for group in groups]
        return LearnedLayer(frequency.mean(0), networks, link), of_nets

    def _descend(self, labels: Tensor, start: Weights, n_epochs: int) -> Trained:
        """Train on some labels until their honest loss falls no more, at last with shorter steps."""
        positives = self.positives[:, labels]
        settled = _SETTLED * float(self.loss_of_frequency[labels].mean())
        weights = Weights(tuple(affine.to_be_trained() for affine in start.maps))
        rate = _LEARNING_RATE / self.n_layers**0.5 / max(1.0, self.width / _WIDE)
        optimiser = torch.optim.Adam(weights.tensors, lr=rate, fused=True)
        best_loss, best = float("inf"), start
        n_standing, n_shortened = 0, 0
        with rounded_factors() if self.width >= _WIDE else nullcontext():
            for epoch in range(1, n_epochs + 1):
                mean = self._epoch(weights, positives, optimiser)
                loss = float(self._losses(self._honest(mean), positives).mean())
                n_standing = 0 if loss < (1 - _LEAST_PROGRESS) * best_loss else n_standing + 1
                if loss < best_loss:
                    best_loss, best = loss, mean
                if best_loss <= settled:
                    break
                if n_standing >= _PATIENCE or (not n_shortened and epoch >= _LONG * n_epochs):
                    if n_shortened == _SHORTENINGS:
                        break
                    n_standing, n_shortened = 0, n_shortened + 1
                    for group in optimiser.param_groups:
                        group["lr"] *= _SHORTENED
                    with torch.no_grad():
                        for tensor, value in zip(weights.tensors, best.tensors, strict=True):
                            tensor.copy_(value)
        honest = self._honest(best)  # not rounded, as the fitted layer is not
        return Trained(labels, best, honest, self._losses(honest, positives))

    @torch.enable_grad()
    def _epoch(self, weights: Weights, positives: Tensor, optimiser: torch.optim.Adam) -> Weights:
        """Show the networks all rows once, and return the mean of their weights meanwhile."""
        shuffled = [rows[torch.randperm(len(rows), generator=self.generator)] for rows in self.rows]
        orders = torch.stack([rows[: self.n_used] for rows in shuffled])
        batches = orders.split(self.batch, dim=1)
        added = set(np.linspace(0, len(batches) - 1, _ADDED).round())
        shrinkage = _SHRINKAGE * _STEPS_OF_A_SHRINKAGE * optimiser.param_groups[0]["lr"]
        mean = weights.each(torch.zeros_like)
        for step, rows in enumerate(batches):
            # Gradients are overwritten: nothing to set to zero.
            self._loss(weights, positives, rows.to(self.stream.device)).backward()
            optimiser.step()
            with torch.no_grad():
                if step % _STEPS_OF_A_SHRINKAGE == 0:
                    for affine in weights.maps:
                        affine.weight.sub_(affine.weight.clamp(-shrinkage, shrinkage))
                if step in added:
                    for total, tensor in zip(mean.tensors, weights.tensors, strict=True):
                        total.add_(tensor, alpha=1 / len(added))
        return mean

    def _loss(self, weights: Weights, positives: Tensor, rows: Tensor) -> Tensor:
        entries = self._drop(self.stream[rows], _DROPOUT_OF_ENTRIES * self.dropout)
        logits = weights.logits(entries, lambda units: self._drop(units, self.dropout))
        losses = binary_cross_entropy_with_logits(logits, positives[rows], reduction="none")
        return (self.row_weights[rows][..., None] * losses).mean(1).sum()

    def _losses(self, honest: Tensor, positives: Tensor) -> Tensor:
        """Return the mean squared error of the honest probabilities of some labels, (n_some,)."""
        return self.row_weights @ (honest - positives).square() / len(honest)

    def _drop(self, units: Tensor, share: float) -> Tensor:
        if not share:
            return units
        kept = torch.rand(units.shape, generator=self.generator) >= share
        return units * kept.to(units.device) / (1 - share)

    @torch.no_grad()
    def _honest(self, weights: Weights) -> Tensor:
        logits = [weights.net(which).logits for which in range(self.n_nets)]
        return torch.sigmoid(of_own_fold(logits, self.net, self.stream))
