"""Several layers side by side, for blocks in which different labels take different kinds of features."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def describe_layers(layers: Iterable[Any]) -> list[dict[str, Any]]:
    """Return what `build_layers` needs, beside the tensors: ready for JSON."""
    return [{"kind": layer.kind, "config": layer.config} for layer in layers]


def build_layers(described: Iterable[dict[str, Any]]) -> list[nn.Module]:
    """Return layers of zeros, to be filled by ``load_state_dict``."""
    from rungwise.features import LAYERS

    return [LAYERS[layer["kind"]].from_config(**layer["config"]) for layer in described]


class JoinedLayer(nn.Module):
    """The hidden units of several layers of the same stream, one after the other.

    Parameters
    ----------
    layers : sequence of nn.Module
    """

    kind = "joined"

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` needs, beside the tensors, to build this layer again."""
        return {"layers": describe_layers(self.layers)}

    @classmethod
    def from_config(cls, layers: list[dict[str, Any]]) -> "JoinedLayer":
        """Return a layer of zeros, to be filled by ``load_state_dict``."""
        return cls(build_layers(layers))

    def forward(self, stream: Tensor) -> Tensor:
        """Return the hidden units, (n, n_units), of a stream of shape (n, n_entries)."""
        return torch.cat([layer(stream) for layer in self.layers], dim=1)
