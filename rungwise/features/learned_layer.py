"""The hidden layer of learned features: residual networks of the stream, one for each fold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import jacrev
from torch.nn.functional import layer_norm

from rungwise.features.affine import Affine
from rungwise.features.opinions import express

# Rows whose hidden units are held at a time.
_CHUNK = 4096


@dataclass(frozen=True)
class Weights:
    """The weights of networks for the same labels.

    Attributes
    ----------
    maps : tuple of Affine
        That of the first hidden layer, z_1 = relu(x W1 + b1); one of each further one, which adds to it,
        z_{k+1} = z_k + relu(z̄_k V_k + c_k), where z̄ is z after layer normalisation without weights; and that of the
        logits, z W2 + b2.
    """

    maps: tuple[Affine, ...]

    def each(self, function: Callable[[Tensor], Tensor]) -> "Weights":
        """Return what a function makes of every tensor."""
        return Weights(tuple(Affine(function(weight), function(bias)) for weight, bias in self.maps))

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors, one after another."""
        return [tensor for affine in self.maps for tensor in affine]

    def net(self, which: int) -> "Weights":
        """Return the weights of a single network."""
        return self.each(lambda tensor: tensor[which])

    def of(self, which: Tensor) -> "Weights":
        """Return the weights of networks of some of the labels, given as a mask."""
        *hidden, (weight2, bias2) = self.maps
        return Weights((*hidden, Affine(weight2[..., which], bias2[..., which])))

    def logits(self, rows: Tensor, drop: Callable[[Tensor], Tensor] = lambda units: units) -> Tensor:
        """Return the logits, (n_nets, n, n_labels), for rows of shape (n_nets, n, n_entries).

        ``drop`` is what dropout leaves of a layer's hidden units.
        """
        return self.maps[-1](self.hidden_units(rows, drop))

    def hidden_units(self, rows: Tensor, drop: Callable[[Tensor], Tensor] = lambda units: units) -> Tensor:
        """Return those of the last layer, (n_nets, n, width)."""
        first, *inner = self.maps[:-1]
        units = drop(torch.relu(first(rows)))
        for affine in inner:
            units = units + drop(torch.relu(affine(layer_norm(units, units.shape[-1:]))))
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
        self.n_maps = len(weights.maps)
        for index, affine in enumerate(weights.maps, start=1):
            self.register_buffer(f"weight{index}", affine.weight)
            self.register_buffer(f"bias{index}", affine.bias)

    @property
    def weights(self) -> Weights:
        """The weights of all networks."""
        names = [(f"weight{index}", f"bias{index}") for index in range(1, self.n_maps + 1)]
        return Weights(tuple(Affine(getattr(self, weight), getattr(self, bias)) for weight, bias in names))

    @property
    def shape(self) -> tuple[int, ...]:
        """What `zeros` needs: n_nets, n_entries, width, n_layers and n_some."""
        return *self.weights.maps[0].weight.shape, self.n_maps - 1, len(self.labels)

    @classmethod
    def zeros(cls, n_nets: int, n_entries: int, width: int, n_layers: int, n_some: int) -> "Networks":
        """Return networks to be filled by ``load_state_dict``."""
        sizes = pairwise([n_entries, *[width] * n_layers, n_some])
        maps = [Affine(torch.zeros(n_nets, n_in, n_out), torch.zeros(n_nets, 1, n_out)) for n_in, n_out in sizes]
        return cls(torch.zeros(n_some, dtype=torch.long), Weights(tuple(maps)))

    def forward(self, stream: Tensor) -> Tensor:
        """Return the mean probability of each label, (n, n_some), for a stream of shape (n, n_entries)."""
        weights = self.weights
        nets = [weights.net(which) for which in range(len(weights.maps[0].weight))]
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
        weight2s = weights.maps[-1].weight[..., which]
        for index, weight2 in enumerate(weight2s):
            # Labels may be many more than hidden units.
            slopes_of_units = jacrev(weights.net(index).hidden_units)
            for row in rows:
                total += (slopes_of_units(row[None])[0, :, 0].T @ weight2).square()
        return total / (len(rows) * len(weight2s))


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
