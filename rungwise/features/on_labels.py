"""Features of the labels alone: what a rung above the first stands on in the paper's hierarchies.

A label of L_i, i > 1, is a function of the labels of L_{i-1} (arXiv 2601.00455, section 2). Among many inputs, units
that see everything see little of the few labels; units of the labels alone do not have to look past the inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rungwise.features.random import RandomFeatures, RandomLayer


class SelectedLayer(nn.Module):
    """A random layer that sees some entries of the stream only.

    Parameters
    ----------
    layer : RandomLayer
        Of the selected entries.
    columns : Tensor of shape (n_selected,), int64
    """

    kind = "selected"
    layer: RandomLayer
    columns: Tensor

    def __init__(self, layer: RandomLayer, columns: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("columns", columns)

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` needs, beside the tensors, to build this layer again."""
        return {"n_selected": len(self.columns), "layer": self.layer.config}

    @classmethod
    def from_config(cls, n_selected: int, layer: dict[str, Any]) -> "SelectedLayer":
        """Return a layer of zeros, to be filled by ``load_state_dict``."""
        return cls(RandomLayer.from_config(**layer), torch.zeros(n_selected, dtype=torch.long))

    def forward(self, stream: Tensor) -> Tensor:
        """Return the hidden units of a stream of shape (n, n_entries)."""
        return self.layer(stream[:, self.columns])

    def responses(self, stream: Tensor) -> Callable[[int, Tensor], Tensor]:
        """Return the units as a function of one entry's values; see `RandomLayer.responses`."""
        inner, units = self.layer.responses(stream[:, self.columns]), self(stream)
        place = {column: position for position, column in enumerate(self.columns.tolist())}

        def changed(entry: int, values: Tensor) -> Tensor:
            return inner(place[entry], values) if entry in place else units

        return changed


@dataclass(frozen=True)
class LabelFeatures:
    """The feature map that gives random units of the labels' estimates alone, from the second block on.

    Parameters
    ----------
    random : RandomFeatures
    """

    name: ClassVar[str] = "labels"
    replaces: ClassVar[bool] = False
    reads_labels: ClassVar[bool] = False
    random: RandomFeatures = field(default_factory=RandomFeatures)

    def fit(
        self, stream: Tensor, generator: torch.Generator, objective: Any = None, label_entries: Tensor | None = None
    ) -> SelectedLayer | None:
        """Draw a layer; None as long as no label has an estimate. See `rungwise.features.FeatureMap`."""
        if label_entries is None or not bool(stream[:, label_entries].any()):
            return None
        return SelectedLayer(self.random.fit(stream[:, label_entries], generator), label_entries)
