"""The hidden layer of learned features: residual networks of the stream, one for each fold."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import jacrev
from torch.nn.functional import layer_norm

from rungwise.features.opinions import express

# Rows whose hidden units are held at a time.
_CHUNK = 4096


class Weights(NamedTuple):
    """The weights of networks for the same labels, batched along the first dimension, which a single one does without.

    The first hidden layer is z_1 = relu(x W1 + b1); each further one adds to it, z_{k+1} = z_k + relu(z̄_k V_k + c_k),
    where z̄ is z after layer normalisation without weights. The logits are z W2 + b2.

    Attributes
    ----------
    weight1 : Tensor of shape (n_nets, n_entries, width)
    bias1 : Tensor of shape (n_nets, 1, width)
    inner_weight : Tensor of shape (n_nets, n_layers - 1, width, width)
    inner_bias : Tensor of shape (n_nets, n_layers - 1, 1, width)
    weight2 : Tensor of shape (n_nets, width, n_labels)
    bias2 : Tensor of shape (n_nets, 1, n_labels)
    """

    weight1: Tensor
    bias1: Tensor
    inner_weight: Tensor
    inner_bias: Tensor
    weight2: Tensor
    bias2: Tensor

    def net(self, which: int) -> "Weights":
        """Return the weights of a single network."""
        return Weights(*(tensor[which] for tensor in self))

    def of(self, which: Tensor) -> "Weights":
        """Return the weights of networks of some of the labels, given as a mask."""
        return self._replace(weight2=self.weight2[..., which], bias2=self.bias2[..., which])

    def logits(self, rows: Tensor, drop: Callable[[Tensor], Tensor] = lambda units: units) -> Tensor:
        """Return the logits, (n_nets, n, n_labels), for rows of shape (n_nets, n, n_entries).

        ``drop`` is what dropout leaves of a layer's hidden units.
        """
        return self.hidden_units(rows, drop) @ self.weight2 + self.bias2

    def hidden_units(self, rows: Tensor, drop: Callable[[Tensor], Tensor] = lambda units: units) -> Tensor:
        """Return those of the last layer, (n_nets, n, width)."""
        units = drop(torch.relu(rows @ self.weight1 + self.bias1))
        for layer in range(self.inner_weight.shape[-3]):
            weight, bias = self.inner_weight[..., layer, :, :], self.inner_bias[..., layer, :, :]
            units = units + drop(torch.relu(layer_norm(units, units.shape[-1:]) @ weight + bias))
        return units


class Networks(nn.Module):
    """Networks of some labels, one for each fold.

    Parameters
    ----------
    labels : Tensor of shape (n_some,), int64
    weights : Weights
    """

    labels: Tensor

    def __init__(self, labels: Tensor, weights: Weights) -> None:
        super().__init__()
        self.register_buffer("labels", labels)
        for name, tensor in weights._asdict().items():
            self.register_buffer(name, tensor)

    @property
    def weights(self) -> Weights:
        """The weights of all networks."""
        return Weights(*(getattr(self, name) for name in Weights._fields))

    @property
    def shape(self) -> tuple[int, ...]:
        """What `zeros` needs: n_nets, n_entries, width, n_layers and n_some."""
        weights = self.weights
        return *weights.weight1.shape, weights.inner_weight.shape[1] + 1, len(self.labels)

    @classmethod
    def zeros(cls, n_nets: int, n_entries: int, width: int, n_layers: int, n_some: int) -> "Networks":
        """Return networks to be filled by ``load_state_dict``."""
        inner = (n_nets, n_layers - 1)
        shapes = (n_nets, n_entries, width), (n_nets, 1, width), (*inner, width, width), (*inner, 1, width)
        weights = Weights(*map(torch.zeros, (*shapes, (n_nets, width, n_some), (n_nets, 1, n_some))))
        return cls(torch.zeros(n_some, dtype=torch.long), weights)

    def forward(self, stream: Tensor) -> Tensor:
        """Return the mean probability of each label, (n, n_some), for a stream of shape (n, n_entries)."""
        nets = [self.weights.net(which) for which in range(len(self.weights.bias1))]
        chunks = stream.split(_CHUNK)
        return torch.cat([torch.stack([torch.sigmoid(net.logits(rows)) for net in nets]).mean(0) for rows in chunks])

    def squared_slopes(self, rows: Tensor, which: Tensor) -> Tensor:
        """Return squared derivatives of logits by entries, (n_entries, n_asked), means over rows and networks.

        Parameters
        ----------
        rows : Tensor of shape (n, n_entries)
        which : Tensor of shape (n_some,), bool
            The labels asked for.
        """
        weights = self.weights
        total = rows.new_zeros(rows.shape[1], int(which.sum()))
        for index, weight2 in enumerate(weights.weight2[..., which]):
            # Labels may be many more than hidden units.
            slopes_of_units = jacrev(weights.net(index).hidden_units)
            for row in rows:
                total += (slopes_of_units(row[None])[0, :, 0].T @ weight2).square()
        return total / (len(rows) * len(weights.weight2))


class LearnedLayer(nn.Module):
    """The opinion of some networks about each label, in [-1, 1] (as log-odds under the link "tanh").

    Parameters
    ----------
    frequency : Tensor of shape (n_labels,)
        What is said of labels that have no network.
    groups : sequence of Networks
    link : {"clip", "tanh"}
    """

    kind = "learned"
    frequency: Tensor
    groups: Any

    def __init__(self, frequency: Tensor, groups: Sequence[Networks], link: str) -> None:
        super().__init__()
        self.link = link
        self.register_buffer("frequency", frequency)
        self.groups = nn.ModuleList(groups)

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` needs, beside the tensors, to build this layer again."""
        return {
            "n_labels": len(self.frequency),
            "groups": [list(group.shape) for group in self.groups],
            "link": self.link,
        }

    @classmethod
    def from_config(cls, n_labels: int, groups: list[list[int]], link: str) -> "LearnedLayer":
        """Return a layer of zeros, to be filled by ``load_state_dict``."""
        return cls(torch.zeros(n_labels), [Networks.zeros(*shape) for shape in groups], link)

    def forward(self, stream: Tensor) -> Tensor:
        """Return an opinion about each label, (n, n_labels), for a stream of shape (n, n_entries)."""
        probability = self.frequency.expand(len(stream), -1).clone()
        for group in self.groups:
            probability[:, group.labels] = group(stream)
        return express(probability, self.link)

    def squared_slopes(self, rows: Tensor, labels: Tensor) -> Tensor:
        """Return `Networks.squared_slopes` of some labels, (n_entries, n_some), for rows of shape (n, n_entries)."""
        slopes = rows.new_zeros(rows.shape[1], len(self.frequency))
        for group in self.groups:
            asked = torch.isin(group.labels, labels)
            if asked.any():
                slopes[:, group.labels[asked]] = group.squared_slopes(rows, asked)
        return slopes[:, labels]
