"""What a block sees: feature maps, which give each block its frozen hidden units.

A feature map has ``fit(stream, generator)`` and returns the layer, a ``torch.nn.Module`` from the stream,
(n, n_inputs + n_labels), to hidden units, (n, n_units). A layer that is to be saved has a ``kind``, listed here, a
JSON-ready ``config`` and a class method ``from_config``.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from rungwise.features.random import RandomFeatures, RandomLayer


class FeatureMap(Protocol):
    """What the layerwise loop asks of a kind of features."""

    def fit(self, stream: Tensor, generator: torch.Generator) -> nn.Module:
        """Return the frozen hidden layer of one block for the honest stream of the training rows."""


FEATURE_MAPS: dict[str, type[FeatureMap]] = {"random": RandomFeatures}
LAYERS = {"random": RandomLayer}

__all__ = ["FEATURE_MAPS", "LAYERS", "FeatureMap", "RandomFeatures", "RandomLayer"]
