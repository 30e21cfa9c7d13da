"""What a block sees: feature maps, which give each block its frozen hidden units.

A feature map has ``fit(stream, generator, objective, label_entries)`` and returns the layer, a ``torch.nn.Module`` from
the stream, (n, n_entries), to hidden units, (n, n_units), for which a readout is then fitted. One whose units are
fitted to the labels has ``fit_honest`` instead, and brings honest estimates with it. A layer that is to be saved has a
``kind``, listed here, a JSON-ready ``config`` and a class method ``from_config``.
"""

from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from rungwise.features.blended import BlendedOpinions
from rungwise.features.boosting import BoostedFeatures, BoostedLayer
from rungwise.features.joined import JoinedLayer
from rungwise.features.kernel import KernelFeatures, KernelLayer
from rungwise.features.learned import LearnedFeatures
from rungwise.features.learned_layer import LearnedLayer
from rungwise.features.linear import LinearFeatures, LinearLayer
from rungwise.features.on_labels import LabelFeatures, SelectedLayer
from rungwise.features.opinions import Opinions, Standing
from rungwise.features.random import RandomFeatures, RandomLayer
from rungwise.features.sparse import SparseFeatures, SparseLayer
from rungwise.features.trees import TreeFeatures, TreeLayer


class FeatureMap(Protocol):
    """What the layerwise loop asks of a kind of features."""

    name: ClassVar[str]
    """What the history calls it."""
    replaces: ClassVar[bool]
    """Whether a readout that starts from zero competes with the one on top of the estimates so far."""
    reads_labels: ClassVar[bool]
    """Whether the hidden layer depends on the labels: then honest readouts stand on layers that others chose."""

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


class HonestFeatureMap(Protocol):
    """What the loop asks of a kind of features whose hidden units are fitted to the labels."""

    name: ClassVar[str]

    def fit_honest(
        self, stream: Tensor, generator: torch.Generator, objective: Any, grouping: Any, standing: Standing
    ) -> Opinions | None:
        """Return the frozen layer of one block, whose units are estimates of the labels, with their honest values.

        `Opinions` says what else is asked of it: honest values at other entries, and importance.

        None to stand aside.

        Parameters
        ----------
        stream, generator, objective
            As for `FeatureMap.fit`.
        grouping : rungwise.fitting.folds.Grouping
            Folds and units of the rows: what speaks about a row must not have seen the labels of its unit.
        standing : Standing
            What the block may be built upon.
        """


FEATURE_MAPS: dict[str, type[FeatureMap] | type[HonestFeatureMap]] = {
    "random": RandomFeatures,
    "sparse": SparseFeatures,
    "linear": LinearFeatures,
    "kernel": KernelFeatures,
    "learned": LearnedFeatures,
    "trees": TreeFeatures,
    "boosted": BoostedFeatures,
}
LAYERS: dict[str, Any] = {
    layer.kind: layer
    for layer in (
        RandomLayer,
        SparseLayer,
        LinearLayer,
        KernelLayer,
        LearnedLayer,
        TreeLayer,
        BoostedLayer,
        SelectedLayer,
        BlendedOpinions,
        JoinedLayer,
    )
}

__all__ = [
    "FEATURE_MAPS",
    "LAYERS",
    "BlendedOpinions",
    "BoostedFeatures",
    "BoostedLayer",
    "FeatureMap",
    "HonestFeatureMap",
    "JoinedLayer",
    "KernelFeatures",
    "KernelLayer",
    "LabelFeatures",
    "LearnedFeatures",
    "LearnedLayer",
    "LinearFeatures",
    "LinearLayer",
    "Opinions",
    "RandomFeatures",
    "RandomLayer",
    "SelectedLayer",
    "SparseFeatures",
    "SparseLayer",
    "Standing",
    "TreeFeatures",
    "TreeLayer",
]
