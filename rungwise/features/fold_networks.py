"""Gradient descent on the networks of learned features: those of all folds side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from rungwise.features.learned_layer import hidden_units
from rungwise.features.opinions import nearly_certain

_LEARNING_RATE, _WEIGHT_DECAY, _INPUT_DROPOUT = 4e-3, 1e-2, 0.1
_TRIAL_EPOCHS, _PATIENCE = 5, 3
# Most epochs where rows are few and where they are many: what is slow to learn is faster in the next block, which
# stands on this one.
_MAX_EPOCHS, _MAX_EPOCHS_MANY_ROWS, _MANY_ROWS = 60, 30, 10_000
# Steps become shorter when the honest loss stands, so many times.
_SHORTENED, _SHORTENINGS = 0.2, 2
# Shares of a label's frequency's loss: labels of which a trial leaves no more are tried again without the others.
_ON_THE_WAY = (0.75, 0.35)
# A new rung gains at least this share of what all labels have left.
LEAST_RUNG = 0.02
# Share of the honest loss: less progress is none, and what is left of a settled one is not worth an epoch.
_LEAST_PROGRESS, _SETTLED = 0.002, 1e-4
# Least standard deviation of hidden units that are alive.
_LEAST_SPREAD = 1e-3
# Steps of one epoch where there are rows enough, and the batches that this gives.
_STEPS, _MIN_BATCH, _MAX_BATCH = 12, 16, 256


@dataclass(frozen=True)
class Standardised:
    """Hidden units, which have any scale, with mean 0 and standard deviation 1, as entries have or nearly.

    Attributes
    ----------
    values : Tensor of shape (n, n_nets, n_units)
    mean, scale : Tensor of shape (n_nets, n_units)
        The scale of a unit that is hardly ever alive is infinite: it says nothing.
    """

    values: Tensor
    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, units: Tensor) -> "Standardised":
        """Standardise units of shape (n, n_nets, n_units)."""
        mean, scale = units.mean(0), units.std(0)
        scale[scale < _LEAST_SPREAD] = torch.inf
        return cls((units - mean).div_(scale), mean, scale)


@dataclass(frozen=True)
class Examples:
    """What the networks are trained on; rows that are copies are one example.

    Attributes
    ----------
    entries : Tensor of shape (n, n_entries)
    carried : Standardised, or None
        For each network hidden units that it may read.
    positives : Tensor of shape (n, n_labels)
        Probabilities.
    weights : Tensor of shape (n,)
    fold : Tensor of shape (n,), int64
        The network that must not see the row.
    """

    entries: Tensor
    carried: Standardised | None
    positives: Tensor
    weights: Tensor
    fold: Tensor


@dataclass(frozen=True)
class Trained:
    """Networks of some labels: W1, b1, W2 and b2 of each net, and the honest probabilities, (n, n_some)."""

    labels: Tensor
    parameters: list[Tensor]
    honest: Tensor

    def of(self, which: Tensor) -> "Trained":
        """Return the networks of some of these labels, given as a mask."""
        weight1, bias1, weight2, bias2 = self.parameters
        parameters = [weight1, bias1, weight2[..., which], bias2[..., which]]
        return Trained(self.labels[which], parameters, self.honest[:, which])


class FoldNetworks:
    """All folds' networks side by side, in batched matrix products.

    Parameters
    ----------
    examples : Examples
    reading : Tensor of shape (n_entries,), bool
        The entries that networks read.
    width : int
        Hidden units for each group of labels that is trained together.
    dropout : float in [0, 1)
    generator : torch.Generator
        On the CPU.
    """

    def __init__(
        self, examples: Examples, reading: Tensor, width: int, dropout: float, generator: torch.Generator
    ) -> None:
        self.reading, self.width, self.dropout, self.generator = reading, width, dropout, generator
        stream, positives = examples.entries[:, reading], examples.positives
        self.stream, self.positives, self.net = stream, positives, examples.fold
        self.carried, self.n_entries = examples.carried, stream.shape[1]
        self.n_carried = 0 if self.carried is None else self.carried.values.shape[2]
        self.row_weights = examples.weights / examples.weights.mean()
        self.max_epochs = _MAX_EPOCHS_MANY_ROWS if len(stream) >= _MANY_ROWS else _MAX_EPOCHS
        self.n_nets = int(self.net.max()) + 1
        self.rows = [(self.net != which).nonzero()[:, 0].cpu() for which in range(self.n_nets)]
        self.n_used = min(len(rows) for rows in self.rows)
        self.batch = max(_MIN_BATCH, min(_MAX_BATCH, self.n_used // _STEPS))
        # Each net begins at the labels' frequencies in the rows that it may see.
        seen = self.row_weights * (self.net != torch.arange(self.n_nets, device=stream.device)[:, None])
        share = (seen @ positives) / seen.sum(1, keepdim=True).clamp(min=torch.finfo(seen.dtype).tiny)
        self.prior = torch.logit(share.clamp(1e-3, 1 - 1e-3))[:, None]
        self.frequency = torch.sigmoid(self.prior)[self.net, 0]

    def _start(self, labels: Tensor, n_read: int) -> Trained:
        """Return networks of some labels as they begin, which read the entries alone or what is carried, too."""
        n_nets, width = self.n_nets, self.width

        def draw(*shape: int) -> Tensor:
            return (torch.randn(shape, generator=self.generator) / shape[1] ** 0.5).to(self.stream.device)

        bias1 = self.stream.new_zeros(n_nets, 1, width)
        weight1, weight2 = draw(n_nets, n_read, width), 0.1 * draw(n_nets, width, len(labels))
        return Trained(labels, [weight1, bias1, weight2, self.prior[..., labels]], self.frequency[:, labels])

    def climb(self, loss_before: Tensor, doubted: Tensor) -> list[Trained]:
        """Train a new rung, labels that trials make nearly certain; return an empty list if there is none.

        Trials leave behind, in turn, the labels of which most is left: these take hidden units that the others need to
        become certain. Those that the first leaves behind wait for a later block, unless hidden units are carried and
        the estimates so far know half of them. Others are trained to the end, too, in hidden units of their own, and
        read what is carried, if anything: they may lack a rung that nobody annotated, and never come nearer.

        Parameters
        ----------
        loss_before : Tensor of shape (n_labels,)
            Mean squared error of the probabilities so far.
        doubted : Tensor of shape (n_labels,), bool
            Which labels are not nearly certain yet.
        """
        worth = LEAST_RUNG * loss_before.sum()
        constant = self._losses(self.frequency, self.positives)
        trial = self._descend(self._start(doubted.nonzero()[:, 0], self.n_entries), _TRIAL_EPOCHS)
        trials = []
        for most_left in _ON_THE_WAY:
            left = self._losses(trial.honest, self.positives[:, trial.labels]) / constant[trial.labels]
            trial = trial.of(left < most_left)
            if loss_before[trial.labels].sum() <= worth:
                return []
            trial = self._descend(trial, max(1, self.max_epochs // 2))
            trials.append(trial)
        half_learned, trial = trials
        positives = self.positives[:, trial.labels]
        shares = (self.row_weights / self.row_weights.sum())[:, None].expand_as(positives)
        near = nearly_certain(2 * trial.honest - 1, 2 * positives - 1, shares)
        gain = loss_before[trial.labels] - self._losses(trial.honest, positives)
        if gain[near].sum() <= worth:
            return []
        rung = trial.of(near)
        if self.carried is None:
            others = half_learned.of(~torch.isin(half_learned.labels, rung.labels))
        else:
            # What was learned from units that are carried, and cannot be told from the entries, is not forgotten.
            half_known = doubted & (loss_before < _ON_THE_WAY[0] * constant)
            half_known[half_learned.labels] = True
            half_known[rung.labels] = False
            others = self._start(half_known.nonzero()[:, 0], self.n_entries + self.n_carried)
        return [self._descend(group, self.max_epochs) for group in (rung, others) if len(group.labels)]

    def train(self, asked: Tensor) -> list[Trained]:
        """Train on those labels, given as a mask, of which a trial shows something.

        Others keep their frequency: they may be for a later block to learn, and until then they would cost as much, and
        be learnt by heart.
        """
        labels = asked.nonzero()[:, 0]
        trial = self._descend(self._start(labels, self.n_entries + self.n_carried), _TRIAL_EPOCHS)
        constant = self._losses(self.frequency[:, labels], self.positives[:, labels])
        shows = self._losses(trial.honest, self.positives[:, labels]) < (1 - _LEAST_PROGRESS) * constant
        return [self._descend(trial.of(shows), self.max_epochs)] if shows.any() else []

    def merge(self, groups: Sequence[Trained]) -> tuple[list[Tensor], Tensor]:
        """Return networks of all labels, with hidden units for each group, and their honest probabilities.

        Labels of no group have their frequency. W1 has rows for all entries and for all that is carried, as it is.
        """
        width, bias2, honest = self.width, self.prior.clone(), self.frequency.clone()
        weight1 = bias2.new_zeros(self.n_nets, self.n_entries + self.n_carried, width * len(groups))
        bias1 = bias2.new_zeros(self.n_nets, 1, width * len(groups))
        weight2 = bias2.new_zeros(self.n_nets, width * len(groups), bias2.shape[2])
        for which, group in enumerate(groups):
            units = slice(width * which, width * (which + 1))
            own1, bias1[..., units], weight2[:, units, group.labels], bias2[..., group.labels] = group.parameters
            honest[:, group.labels] = group.honest
            weight1[:, : own1.shape[1], units] = own1
        of_entries, of_carried = weight1.split([self.n_entries, self.n_carried], dim=1)
        if self.carried is not None:
            of_carried = of_carried / self.carried.scale[..., None]
            bias1 -= self.carried.mean[:, None] @ of_carried
        everywhere = weight1.new_zeros(self.n_nets, len(self.reading), weight1.shape[2])
        everywhere[:, self.reading] = of_entries
        return [torch.cat([everywhere, of_carried], dim=1), bias1, weight2, bias2], honest

    @torch.enable_grad()
    def _descend(self, start: Trained, n_epochs: int) -> Trained:
        """Train on some labels until their honest loss falls no more, with shorter steps each time that it stands."""
        positives = self.positives[:, start.labels]
        settled = _SETTLED * float(self._losses(self.frequency[:, start.labels], positives).mean())
        parameters = [parameter.clone().requires_grad_() for parameter in start.parameters]
        optimiser = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        best_loss, n_standing, n_shortened = float("inf"), 0, 0
        for _ in range(n_epochs):
            orders = torch.stack([rows[self._permutation(len(rows))[: self.n_used]] for rows in self.rows])
            for rows in orders.split(self.batch, dim=1):
                optimiser.zero_grad()
                self._loss(parameters, positives, rows.to(self.stream.device)).backward()
                optimiser.step()
            honest = self._honest(parameters)
            loss = float(self._losses(honest, positives).mean())
            n_standing = 0 if loss < (1 - _LEAST_PROGRESS) * best_loss else n_standing + 1
            if loss < best_loss:
                best_loss, best_honest = loss, honest
                best = [parameter.detach().clone() for parameter in parameters]
            if best_loss <= settled:
                break
            if n_standing >= _PATIENCE:
                if n_shortened == _SHORTENINGS:
                    break
                n_standing, n_shortened = 0, n_shortened + 1
                for group in optimiser.param_groups:
                    group["lr"] *= _SHORTENED
                with torch.no_grad():
                    for parameter, value in zip(parameters, best, strict=True):
                        parameter.copy_(value)
        return Trained(start.labels, best, best_honest)

    def _permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator)

    def _loss(self, parameters: list[Tensor], positives: Tensor, rows: Tensor) -> Tensor:
        weight1, bias1, weight2, bias2 = parameters
        inputs = self.stream[rows]
        if self.carried is not None and self._reads_carried(weight1):
            own = torch.arange(self.n_nets, device=rows.device)[:, None]
            inputs = torch.cat([inputs, self.carried.values[rows, own]], dim=2)
        inputs = self._drop(inputs, _INPUT_DROPOUT)
        hidden = self._drop(torch.relu(torch.baddbmm(bias1, inputs, weight1)), self.dropout)
        logits = torch.baddbmm(bias2, hidden, weight2)
        losses = binary_cross_entropy_with_logits(logits, positives[rows], reduction="none")
        return (self.row_weights[rows][..., None] * losses).mean(1).sum()

    def _reads_carried(self, weight1: Tensor) -> bool:
        return weight1.shape[1] > self.n_entries

    def _losses(self, honest: Tensor, positives: Tensor) -> Tensor:
        """Return the mean squared error of the honest probabilities of some labels, (n_some,)."""
        return self.row_weights @ (honest - positives).square() / len(honest)

    def _drop(self, units: Tensor, share: float) -> Tensor:
        if not share:
            return units
        kept = torch.rand(units.shape, generator=self.generator) >= share
        return units * kept.to(units.device) / (1 - share)

    @torch.no_grad()
    def _honest(self, parameters: list[Tensor]) -> Tensor:
        honest = self.stream.new_empty(len(self.stream), parameters[3].shape[2])
        deep = self._reads_carried(parameters[0])
        for which, (weight1, bias1, weight2, bias2) in enumerate(zip(*parameters, strict=True)):
            rows = self.net == which
            carried = self.carried.values[rows, which] if self.carried is not None and deep else None
            hidden = hidden_units(self.stream[rows], carried, weight1, bias1)
            honest[rows] = torch.sigmoid(hidden @ weight2 + bias2)
        return honest
