"""What a block sees: feature maps, which give each block its frozen hidden units.

A feature map has ``fit(stream, generator, objective, label_entries)`` and returns the layer, a ``torch.nn.Module`` from
the stream, (n, n_entries), to hidden units, (n, n_units). A layer that is to be saved has a ``kind``, listed here, a
JSON-ready ``config`` and a class method ``from_config``.
"""

from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from rungwise.features.joined import JoinedLayer
from rungwise.features.on_labels import LabelFeatures, SelectedLayer
from rungwise.features.random import RandomFeatures, RandomLayer
from rungwise.features.sparse import SparseFeatures, SparseLayer


class FeatureMap(Protocol):
    """What the layerwise loop asks of a kind of features."""

    replaces: ClassVar[bool]
    """Whether a readout that starts from zero competes with the one on top of the estimates so far."""

    def fit(
        self, stream: Tensor, generator: torch.Generator, objective: Any, label_entries: Tensor
    ) -> nn.Module | None:
        """Return the frozen hidden layer of one block; None to stand aside.

        Parameters
        ----------
        stream : Tensor of shape (n, n_entries)
            The honest stream of the training rows.
        generator : torch.Generator
            On the CPU.
        objective : Objective
            What the readout will minimise, with no hidden units yet: targets, weights and estimates so far.
        label_entries : Tensor of int64
            Which stream entries are estimates of labels, as opposed to inputs.
        """


FEATURE_MAPS: dict[str, type[FeatureMap]] = {"random": RandomFeatures, "sparse": SparseFeatures}
LAYERS: dict[str, Any] = {layer.kind: layer for layer in (RandomLayer, SparseLayer, SelectedLayer, JoinedLayer)}

__all__ = [
    "FEATURE_MAPS",
    "LAYERS",
    "FeatureMap",
    "JoinedLayer",
    "LabelFeatures",
    "RandomFeatures",
    "RandomLayer",
    "SelectedLayer",
    "SparseFeatures",
    "SparseLayer",
]
