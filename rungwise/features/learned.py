"""Learned features: two-layer networks of the stream, W1 trained together with W2.

Gradient descent on one block at a time, as in the paper, but through both of its layers. For every fold a network is
trained without the fold's rows, and speaks honestly about them; the fitted layer is the mean of these networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from rungwise._validation import check_fraction, check_whole
from rungwise.features.opinions import Opinions, express, filled_targets

_LEARNING_RATE, _WEIGHT_DECAY, _INPUT_DROPOUT = 2e-3, 1e-2, 0.1
_MAX_EPOCHS, _PATIENCE = 60, 5
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
class LearnedFeatures:
    """The feature map that trains two-layer networks for every block.

    AdamW on the logistic loss, with dropout; training stops when the honest rows gain no more.

    Parameters
    ----------
    width : int, at least 1
    dropout : float in [0, 1)
        Of the hidden units.
    """

    name: ClassVar[str] = "learned"
    width: int = 256
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_whole("width", self.width, 1)
        check_fraction("dropout", self.dropout)

    def fit_honest(self, stream: Tensor, generator: torch.Generator, objective: Any, grouping: Any) -> Opinions | None:
        """Train a network for every fold; see `rungwise.features.HonestFeatureMap`.

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
        fold = grouping.fold[first]
        training = _Training(self, stream[first].float(), positives.float(), total.float(), fold, generator)
        parameters, honest = training.run()
        honest = honest[place]
        layer = LearnedLayer([parameter.to(stream) for parameter in parameters], objective.loss.link)
        spread = stream.std(0)

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
        self.settings, self.generator, self.fold = settings, generator, fold
        self.stream, self.positives = stream, positives
        self.row_weights = row_weights / row_weights.mean()
        self.n_nets = int(fold.max()) + 1
        self.rows = [(fold != which).nonzero()[:, 0].cpu() for which in range(self.n_nets)]
        self.n_used = min(len(rows) for rows in self.rows)
        self.batch = max(_MIN_BATCH, min(_MAX_BATCH, self.n_used // _STEPS))
        self.parameters = self._initial()

    def _initial(self) -> list[Tensor]:
        n_nets, n_inputs = self.n_nets, self.stream.shape[1]
        width, n_labels = self.settings.width, self.positives.shape[1]
        device = self.stream.device

        def draw(*shape: int) -> Tensor:
            return (torch.randn(shape, generator=self.generator) / shape[1] ** 0.5).to(device)

        # Each net begins at the labels' frequencies in the rows that it may see.
        seen = self.row_weights * (self.fold != torch.arange(n_nets, device=device)[:, None])
        share = (seen @ self.positives) / seen.sum(1, keepdim=True).clamp(min=torch.finfo(seen.dtype).tiny)
        prior = torch.logit(share.clamp(1e-3, 1 - 1e-3))[:, None]
        bias1 = torch.zeros(n_nets, 1, width, device=device)
        return [draw(n_nets, n_inputs, width), bias1, 0.1 * draw(n_nets, width, n_labels), prior]

    @torch.enable_grad()
    def run(self) -> tuple[list[Tensor], Tensor]:
        """Train; return the parameters of the best epoch and their honest probabilities."""
        parameters = [parameter.requires_grad_() for parameter in self.parameters]
        optimiser = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        best_loss, best_epoch = float("inf"), 0
        for epoch in range(_MAX_EPOCHS):
            orders = torch.stack([rows[self._permutation(len(rows))[: self.n_used]] for rows in self.rows])
            for rows in orders.split(self.batch, dim=1):
                optimiser.zero_grad()
                self._loss(rows.to(self.stream.device)).backward()
                optimiser.step()
            honest = self._honest()
            error = (honest - self.positives).square().mean(1)
            loss = float((self.row_weights * error).mean())
            if loss < best_loss:
                best_loss, best_epoch, best_honest = loss, epoch, honest
                best = [parameter.detach().clone() for parameter in parameters]
            elif epoch - best_epoch >= _PATIENCE:
                break
        return best, best_honest

    def _permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator)

    def _loss(self, rows: Tensor) -> Tensor:
        weight1, bias1, weight2, bias2 = self.parameters
        inputs = self._drop(self.stream[rows], _INPUT_DROPOUT)
        hidden = self._drop(torch.relu(torch.baddbmm(bias1, inputs, weight1)), self.settings.dropout)
        logits = torch.baddbmm(bias2, hidden, weight2)
        losses = binary_cross_entropy_with_logits(logits, self.positives[rows], reduction="none")
        return (self.row_weights[rows][..., None] * losses).mean(1).sum()

    def _drop(self, units: Tensor, share: float) -> Tensor:
        kept = torch.rand(units.shape, generator=self.generator) >= share
        return units * kept.to(units.device) / (1 - share)

    @torch.no_grad()
    def _honest(self) -> Tensor:
        honest = torch.empty_like(self.positives)
        for which, net in enumerate(zip(*self.parameters, strict=True)):
            rows = self.fold == which
            honest[rows] = torch.sigmoid(_logits(self.stream[rows], net))
        return honest
