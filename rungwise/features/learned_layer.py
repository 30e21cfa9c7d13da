"""The hidden layer of learned features: two-layer networks of the stream, one for each fold."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rungwise.features.opinions import express


class LearnedLayer(nn.Module):
    """The mean opinion of some two-layer networks about each label, in [-1, 1] (as log-odds under the link "tanh").

    Each network also reads those hidden units that the stream carries which are of its own fold, and hands up its own.

    Parameters
    ----------
    parameters : sequence of Tensor
        W1, b1, W2, b2 of shapes (n_nets, n_entries + n_carried, width), (n_nets, 1, width), (n_nets, width, n_labels)
        and (n_nets, 1, n_labels).
    link : {"clip", "tanh"}
    """

    kind = "learned"
    reads_carried = True
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
        n_nets, n_read, width, n_labels = shape
        shapes = (n_nets, n_read, width), (n_nets, 1, width), (n_nets, width, n_labels), (n_nets, 1, n_labels)
        return cls([torch.zeros(shape) for shape in shapes], link)

    def forward(self, stream: Tensor, carried: Tensor | None = None) -> Tensor:
        """Return an opinion about each label, (n, n_labels).

        Parameters
        ----------
        stream : Tensor of shape (n, n_entries)
        carried : Tensor of shape (n, n_nets, n_carried), optional
        """
        total = stream.new_zeros(len(stream), self.bias2.shape[2])
        for which, (weight2, bias2) in enumerate(zip(self.weight2, self.bias2, strict=True)):
            total += torch.sigmoid(self._hidden(which, stream, carried) @ weight2 + bias2)
        return express(total / len(self.weight1), self.link)

    @property
    def n_handed_up(self) -> int:
        """How many hidden units `carry` returns for each row, of all networks together."""
        return len(self.weight1) * self.weight1.shape[2]

    def carry(self, stream: Tensor, carried: Tensor | None = None) -> Tensor:
        """Return the hidden units of all networks, (n, n_nets, width), for what `forward` is given."""
        return torch.stack([self._hidden(which, stream, carried) for which in range(len(self.weight1))], dim=1)

    def reach(self, below: Tensor | None = None) -> Tensor:
        """Return how far stream entries move the hidden units along all paths, squared, (n_nets, n_entries, width).

        Parameters
        ----------
        below : Tensor of shape (n_nets, n_entries, n_carried), optional
            How far they move the units that are carried.
        """
        squares = self.weight1.square()
        if below is None:
            return squares
        n_entries = below.shape[1]
        return torch.baddbmm(squares[:, :n_entries], below, squares[:, n_entries:])

    def _hidden(self, which: int, stream: Tensor, carried: Tensor | None) -> Tensor:
        own = None if carried is None else carried[:, which]
        return hidden_units(stream, own, self.weight1[which], self.bias1[which])


def hidden_units(stream: Tensor, carried: Tensor | None, weight1: Tensor, bias1: Tensor) -> Tensor:
    """Return hidden units, (n, width), of a stream of shape (n, n_entries) and carried units of shape (n, n_carried).

    Without rows of W1 for them, carried units are not read.
    """
    n_entries = stream.shape[1]
    units = stream @ weight1[:n_entries] + bias1
    if len(weight1) > n_entries:
        if carried is None:
            raise ValueError("these networks read hidden units that the stream carries; give them, too")
        units += carried @ weight1[n_entries:]
    return torch.relu(units)
