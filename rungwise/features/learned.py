"""Learned features: two-layer networks of the stream, W1 trained together with W2.

Gradient descent on one block at a time, as in the paper, but through both of its layers. For every fold a network is
trained without the fold's rows, and speaks honestly about them. The fitted layer is the mean of these networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from rungwise._validation import check_fraction, check_whole
from rungwise.features.opinions import Opinions, Standing, believed, express, filled_targets, nearly_certain

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
_LEAST_RUNG = 0.02
# Share of the honest loss: less progress is none, and what is left of a settled one is not worth an epoch.
_LEAST_PROGRESS, _SETTLED = 0.002, 1e-4
# Steps of one epoch where there are rows enough, and the batches that this gives.
_STEPS, _MIN_BATCH, _MAX_BATCH = 12, 16, 256


class LearnedLayer(nn.Module):
    """The mean opinion of some two-layer networks about each label, in [-1, 1] (as log-odds under the link "tanh").

    Parameters
    ----------
    parameters : sequence of Tensor
        W1, b1, W2, b2 of shapes (n_nets, n_inputs, width), (n_nets, 1, width), (n_nets, width, n_labels) and
        (n_nets, 1, n_labels).
    link : {"clip", "tanh"}
    """

    kind = "learned"
    weight1: Tensor
    bias1: Tensor
    weight2: Tensor
    bias2: Tensor

    def __init__(self, parameters: Sequence[Tensor], link: str) -> None:
        super().__init__()
        self.link = link
        for name, tensor in zip(("weight1", "bias1", "weight2", "bias2"), parameters, strict=True):
            self.register_buffer(name, tensor)

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` needs, beside the tensors, to build this layer again."""
        return {"shape": [*self.weight1.shape, self.weight2.shape[2]], "link": self.link}

    @classmethod
    def from_config(cls, shape: list[int], link: str) -> "LearnedLayer":
        """Return a layer of zeros, to be filled by ``load_state_dict``."""
        n_nets, n_inputs, width, n_labels = shape
        shapes = (n_nets, n_inputs, width), (n_nets, 1, width), (n_nets, width, n_labels), (n_nets, 1, n_labels)
        return cls([torch.zeros(shape) for shape in shapes], link)

    def forward(self, stream: Tensor) -> Tensor:
        """Return an opinion about each label, (n, n_labels), for a stream of shape (n, n_entries)."""
        parameters = zip(self.weight1, self.bias1, self.weight2, self.bias2, strict=True)
        probability = sum(torch.sigmoid(_logits(stream, net)) for net in parameters) / len(self.weight1)
        return express(torch.as_tensor(probability), self.link)


def _logits(stream: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    weight1, bias1, weight2, bias2 = parameters
    return torch.relu(stream @ weight1 + bias1) @ weight2 + bias2


@dataclass(frozen=True)
class _Trained:
    """Networks of some labels: W1, b1, W2 and b2 of each net, and the honest probabilities, (n, n_some)."""

    labels: Tensor
    parameters: list[Tensor]
    honest: Tensor

    def of(self, which: Tensor) -> "_Trained":
        """Return the networks of some of these labels, given as a mask."""
        weight1, bias1, weight2, bias2 = self.parameters
        parameters = [weight1, bias1, weight2[..., which], bias2[..., which]]
        return _Trained(self.labels[which], parameters, self.honest[:, which])


@dataclass(frozen=True)
class LearnedFeatures:
    """The feature map that trains two-layer networks for every block.

    AdamW on the logistic loss, with dropout. When the honest rows gain no more, steps become shorter, and at last
    training stops.

    Networks first look for a new rung: labels that become nearly certain from x and the labels that became so last, or
    else from x and all that are so. The more a network reads, the more examples it needs; and one that also read
    estimates in doubt would learn to copy them: what is left to explain are their few errors, too few to learn the
    label's logic from, and these errors would stay for all blocks above. A new rung is trained apart from labels that
    are half learned so, while others wait, as they may follow from it. If there is none, networks read everything, and
    all labels are trained.

    Parameters
    ----------
    width : int, at least 1
        Hidden units of a network; in a block with a new rung, of one for the rung and of one for half-learned labels.
    dropout : float in [0, 1)
        Of the hidden units.
    """

    name: ClassVar[str] = "learned"
    width: int = 256
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_whole("width", self.width, 1)
        check_fraction("dropout", self.dropout)

    def fit_honest(
        self,
        stream: Tensor,
        generator: torch.Generator,
        objective: Any,
        grouping: Any,
        standing: Standing,
    ) -> Opinions | None:
        """Train networks that have not seen each other's rows; see `rungwise.features.HonestFeatureMap`.

        None if there are more entries than rows: such a network would learn the rows by heart.
        """
        if stream.shape[1] > len(stream):
            return None
        targets, row_weights = filled_targets(objective)
        positives = (1 + targets) / 2
        first, place = grouping.copies()
        total = torch.zeros_like(first, dtype=stream.dtype).index_add_(0, place, row_weights)
        positives = torch.zeros_like(positives[first]).index_add_(0, place, row_weights[:, None] * positives)
        positives = positives / total.clamp(min=torch.finfo(total.dtype).tiny)[:, None]
        before = (1 + believed(objective)[first]) / 2
        loss_before = (total @ (before - positives).square() / total.sum()).float()
        # Filled gaps agree with the estimates so far: these cannot be judged by rows that are annotated in part.
        complete = bool((objective.weights == row_weights[:, None]).all())
        climbs = complete and bool(loss_before[standing.doubted].sum() > _LEAST_RUNG * loss_before.sum())
        # Labels that no block has learned yet say nothing.
        spread = stream.std(0)
        speaking = spread > 0
        rows = stream[first].float()
        examples = positives.float(), total.float(), grouping.fold[first], generator
        for clear in standing.readings if climbs else []:
            reading = speaking & clear
            training = _Training(self, rows[:, reading], *examples)
            if groups := training.climb(loss_before, standing.doubted):
                break
        else:
            reading = speaking
            training = _Training(self, rows[:, reading], *examples)
            groups = training.train_all()
        (weight1, *parameters), honest = training.merge(groups)
        honest = honest[place]
        everywhere = weight1.new_zeros(len(weight1), len(spread), weight1.shape[2])
        everywhere[:, reading] = weight1
        layer = LearnedLayer([parameter.to(stream) for parameter in (everywhere, *parameters)], objective.loss.link)

        def importance(labels: Tensor) -> Tensor:
            # How far each entry moves a label along all paths, squared.
            paths = layer.weight1.square() @ layer.weight2[:, :, labels].square()
            return spread.square()[:, None] * paths.mean(0)

        return Opinions(layer, express(honest.to(stream), layer.link), importance)


class _Training:
    """All folds' networks side by side, in batched matrix products."""

    def __init__(
        self,
        settings: LearnedFeatures,
        stream: Tensor,
        positives: Tensor,
        row_weights: Tensor,
        fold: Tensor,
        generator: torch.Generator,
    ) -> None:
        self.settings, self.generator = settings, generator
        self.stream, self.positives, self.net = stream, positives, fold
        self.row_weights = row_weights / row_weights.mean()
        self.max_epochs = _MAX_EPOCHS_MANY_ROWS if len(stream) >= _MANY_ROWS else _MAX_EPOCHS
        self.n_nets = int(self.net.max()) + 1
        self.rows = [(self.net != which).nonzero()[:, 0].cpu() for which in range(self.n_nets)]
        self.n_used = min(len(rows) for rows in self.rows)
        self.batch = max(_MIN_BATCH, min(_MAX_BATCH, self.n_used // _STEPS))
        parameters = self._initial()
        self.frequency = torch.sigmoid(parameters[3])[self.net, 0]
        everything = torch.arange(positives.shape[1], device=positives.device)
        self.start = _Trained(everything, parameters, self.frequency)

    def _initial(self) -> list[Tensor]:
        n_nets, n_inputs = self.n_nets, self.stream.shape[1]
        width, n_labels = self.settings.width, self.positives.shape[1]
        device = self.stream.device

        def draw(*shape: int) -> Tensor:
            return (torch.randn(shape, generator=self.generator) / shape[1] ** 0.5).to(device)

        # Each net begins at the labels' frequencies in the rows that it may see.
        seen = self.row_weights * (self.net != torch.arange(n_nets, device=device)[:, None])
        share = (seen @ self.positives) / seen.sum(1, keepdim=True).clamp(min=torch.finfo(seen.dtype).tiny)
        prior = torch.logit(share.clamp(1e-3, 1 - 1e-3))[:, None]
        bias1 = torch.zeros(n_nets, 1, width, device=device)
        return [draw(n_nets, n_inputs, width), bias1, 0.1 * draw(n_nets, width, n_labels), prior]

    def climb(self, loss_before: Tensor, doubted: Tensor) -> list[_Trained]:
        """Train a new rung, labels that trials make nearly certain; return an empty list if there is none.

        Trials leave behind, in turn, the labels of which most is left: these take hidden units that the others need to
        become certain. Those that the first leaves behind wait for a later block. Others are trained to the end, too,
        in hidden units of their own: they may lack a rung that nobody annotated, and never come nearer.

        Parameters
        ----------
        loss_before : Tensor of shape (n_labels,)
            Mean squared error of the probabilities so far.
        doubted : Tensor of shape (n_labels,), bool
            Which labels are not nearly certain yet.
        """
        worth = _LEAST_RUNG * loss_before.sum()
        constant = self._losses(self.frequency, self.positives)
        trial = self._descend(self.start.of(doubted), _TRIAL_EPOCHS)
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
        rung, others = trial.of(near), half_learned.of(~torch.isin(half_learned.labels, trial.labels[near]))
        return [self._descend(group, self.max_epochs) for group in (rung, others) if len(group.labels)]

    def train_all(self) -> list[_Trained]:
        """Train on all labels of which a trial shows something.

        Others keep their frequency: they may be for a later block to learn, and until then they would cost as much, and
        be learnt by heart.
        """
        trial = self._descend(self.start, _TRIAL_EPOCHS)
        constant = self._losses(self.frequency, self.positives)
        shows = self._losses(trial.honest, self.positives) < (1 - _LEAST_PROGRESS) * constant
        return [self._descend(trial.of(shows), self.max_epochs)] if shows.any() else []

    def merge(self, groups: Sequence[_Trained]) -> tuple[list[Tensor], Tensor]:
        """Return networks of all labels, with hidden units for each group, and their honest probabilities.

        Labels of no group have their frequency.
        """
        weight1, bias1, weight2, bias2 = self.start.parameters
        weights1, biases1, weights2 = [weight1[..., :0]], [bias1[..., :0]], [weight2[:, :0]]
        bias2, honest = bias2.clone(), self.frequency.clone()
        for group in groups:
            own1, own_bias1, own2, own_bias2 = group.parameters
            weights1.append(own1)
            biases1.append(own_bias1)
            weights2.append(torch.zeros_like(weight2).index_copy_(2, group.labels, own2))
            bias2[..., group.labels], honest[:, group.labels] = own_bias2, group.honest
        return [torch.cat(weights1, 2), torch.cat(biases1, 2), torch.cat(weights2, 1), bias2], honest

    @torch.enable_grad()
    def _descend(self, start: _Trained, n_epochs: int) -> _Trained:
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
        return _Trained(start.labels, best, best_honest)

    def _permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator)

    def _loss(self, parameters: list[Tensor], positives: Tensor, rows: Tensor) -> Tensor:
        weight1, bias1, weight2, bias2 = parameters
        inputs = self._drop(self.stream[rows], _INPUT_DROPOUT)
        hidden = self._drop(torch.relu(torch.baddbmm(bias1, inputs, weight1)), self.settings.dropout)
        logits = torch.baddbmm(bias2, hidden, weight2)
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
    def _honest(self, parameters: list[Tensor]) -> Tensor:
        honest = self.stream.new_empty(len(self.stream), parameters[3].shape[2])
        for which, net in enumerate(zip(*parameters, strict=True)):
            rows = self.net == which
            honest[rows] = torch.sigmoid(_logits(self.stream[rows], net))
        return honest
