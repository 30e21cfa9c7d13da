"""Linear features: the stream itself as hidden units, for labels that many entries each tell a little about.

In wide tables, such as counts of words, what a ridge readout of all entries says is hard to beat for units that were
fitted to the labels.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class LinearLayer(nn.Module):
    """The identity."""

    kind = "linear"

    @property
    def config(self) -> dict[str, Any]:
        """Nothing: there is nothing to build."""
        return {}

    @classmethod
    def from_config(cls) -> "LinearLayer":
        """Return the layer."""
        return cls()

    def forward(self, stream: Tensor) -> Tensor:
        """Return the stream."""
        return stream

    def importance(self, stream: Tensor, weight: Tensor) -> Tensor:
        """Return what shuffling an entry adds to the squared error of a readout, up to a factor.

        Parameters
        ----------
        stream : Tensor of shape (n, n_entries)
        weight : Tensor of shape (n_entries, n_labels)
        """
        return stream.var(0)[:, None] * weight.square()


@dataclass(frozen=True)
class LinearFeatures:
    """The feature map whose hidden units are the stream's entries."""

    name: ClassVar[str] = "linear"
    replaces: ClassVar[bool] = False
    reads_labels: ClassVar[bool] = False

    def fit(
        self, stream: Tensor, generator: torch.Generator, objective: Any = None, label_entries: Tensor | None = None
    ) -> LinearLayer:
        """Return the layer; nothing is drawn or fitted."""
        return LinearLayer()
