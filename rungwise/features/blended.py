"""Several layers of opinions as one: for each label the shares in which its block listens to them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rungwise.features.joined import build_layers, describe_layers


class BlendedOpinions(nn.Module):
    """A weighted sum of opinions about some of their labels, (n, n_some).

    Parameters
    ----------
    layers : sequence of nn.Module
        Of `Opinions`: each maps the stream to (n, n_labels).
    share : Tensor of shape (n_layers, n_some)
    columns : Tensor of shape (n_some,), int64
        Which of their labels.
    """

    kind = "blended"
    share: Tensor
    columns: Tensor

    def __init__(self, layers: Sequence[nn.Module], share: Tensor, columns: Tensor) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.register_buffer("share", share)
        self.register_buffer("columns", columns)

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` needs, beside the tensors, to build this layer again."""
        return {"layers": describe_layers(self.layers), "n_some": len(self.columns)}

    @classmethod
    def from_config(cls, layers: list[dict[str, Any]], n_some: int) -> "BlendedOpinions":
        """Return a layer of zeros, to be filled by ``load_state_dict``."""
        return cls(build_layers(layers), torch.zeros(len(layers), n_some), torch.zeros(n_some, dtype=torch.long))

    def forward(self, stream: Tensor) -> Tensor:
        """Return the blended opinions, (n, n_some), for a stream of shape (n, n_entries)."""
        blended = stream.new_zeros(len(stream), len(self.columns))
        for layer, own in zip(self.layers, self.share, strict=True):
            blended.addcmul_(layer(stream)[:, self.columns], own)
        return blended
