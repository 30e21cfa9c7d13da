"""Random features, the paper's hidden units: σ(W1 z + b) with W1 and b drawn once and frozen.

β-Xavier (arXiv 2601.00455, section 2): over N stream entries, W1 ~ Normal(0, (1 - β²) / N) and b ~ Normal(0, β²), so
that a stream of squared norm N, such as a vector of ±1, gives pre-activations of unit variance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rungwise._validation import check_fraction, check_whole
from rungwise.features.activations import get_activation


class RandomLayer(nn.Module):
    """A layer of frozen units σ(W1 z + b) / sqrt(width).

    The factor keeps inner products of hidden vectors at the dual kernel's size for every width; W2 absorbs it.

    Parameters
    ----------
    weight : Tensor of shape (n_inputs, width)
        W1, transposed.
    bias : Tensor of shape (width,)
    activation : str
        A name of `rungwise.features.activations.ACTIVATIONS`.
    """

    kind = "random"
    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, activation: str) -> None:
        super().__init__()
        self.activation = activation
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` needs, beside the tensors, to build this layer again."""
        return {"shape": list(self.weight.shape), "activation": self.activation}

    @classmethod
    def from_config(cls, shape: list[int], activation: str) -> "RandomLayer":
        """Return a layer of zeros, to be filled by ``load_state_dict``."""
        get_activation(activation)
        return cls(torch.zeros(*shape), torch.zeros(shape[1]), activation)

    def forward(self, stream: Tensor) -> Tensor:
        """Return the hidden units, (n, width), of a stream of shape (n, n_inputs)."""
        return self._activate(torch.addmm(self.bias, stream, self.weight))

    def responses(self, stream: Tensor) -> Callable[[int, Tensor], Tensor]:
        """Return the hidden units as a function of (entry, values): what they would be with other values of one entry.

        One entry changes the pre-activations by a product of a column and a row: no new matrix product.
        """
        pre_activation = torch.addmm(self.bias, stream, self.weight)

        def changed(entry: int, values: Tensor) -> Tensor:
            return self._activate(torch.addr(pre_activation, values - stream[:, entry], self.weight[entry]))

        return changed

    def _activate(self, pre_activation: Tensor) -> Tensor:
        return get_activation(self.activation)(pre_activation) / len(self.bias) ** 0.5


@dataclass(frozen=True)
class RandomFeatures:
    """The feature map that draws a fresh `RandomLayer` for every block.

    Parameters
    ----------
    width : int, at least 1
        Number of hidden units of a block.
    activation : {"erf", "relu", "shifted_erf", "tanh"}
    beta : float in [0, 1)
        Standard deviation of the biases. With β = 0 an odd activation sees no even degree.

    Examples
    --------
    >>> import torch
    >>> layer = RandomFeatures(width=8).fit(torch.ones(5, 3), torch.Generator().manual_seed(0))
    >>> layer(torch.ones(5, 3)).shape
    torch.Size([5, 8])
    """

    name: ClassVar[str] = "random"
    replaces: ClassVar[bool] = False
    reads_labels: ClassVar[bool] = False
    width: int = 2048
    activation: str = "erf"
    beta: float = 0.3

    def __post_init__(self) -> None:
        check_whole("width", self.width, 1)
        get_activation(self.activation)
        check_fraction("beta", self.beta)

    def fit(
        self, stream: Tensor, generator: torch.Generator, objective: Any = None, label_entries: Tensor | None = None
    ) -> RandomLayer:
        """Draw a layer for a stream of shape (n, n_inputs); only its width, dtype and device are used.

        The draw is made on the CPU in double precision: a seed gives the same network on every device.
        """
        n_inputs = stream.shape[1]
        scale = ((1 - self.beta**2) / n_inputs) ** 0.5
        weight = scale * torch.randn(n_inputs, self.width, generator=generator, dtype=torch.float64)
        bias = self.beta * torch.randn(self.width, generator=generator, dtype=torch.float64)
        return RandomLayer(weight.to(stream), bias.to(stream), self.activation)
